// SPDX-License-Identifier: Apache-2.0
// Decodes ids as they are generated. A piece never ends inside a UTF-8 character; all pieces together are what
// Tokenizer::decode gives for all ids.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace quamba2 {

class TextDecoder;
class Tokenizer;

class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = false);
  ~StreamDecoder();
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;

  // The text that is certain after `id`; may be empty.
  std::string push(int32_t id);
  // What was held back: a cut-off character becomes U+FFFD. The next `push` begins a new text.
  std::string flush();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_;
  std::unique_ptr<TextDecoder> decoder_;
};

}  // namespace quamba2
