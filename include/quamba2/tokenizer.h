// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back: byte-level BPE and its relatives from tokenizer.json, SentencePiece from tokenizer.model.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2 {

class TextDecoder;

// Immutable and safe to use from many threads at once.
class Tokenizer {
 public:
  // `path` is a model directory (tokenizer.json, else tokenizer.model) or one of these files. Throws Error{kModelFile}.
  static std::shared_ptr<const Tokenizer> load(const std::string& path);
  // From the contents of a tokenizer.json or tokenizer.model; `where` names them in errors.
  static std::shared_ptr<const Tokenizer> from_json(std::string_view text, const std::string& where);
  static std::shared_ptr<const Tokenizer> from_sentencepiece(std::string_view model, const std::string& where);

  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // Invalid UTF-8 counts as U+FFFD. `add_special_tokens` puts BOS, EOS and the like around the text, as the model asks.
  // Added tokens written out in the text become their ids; special ones stay plain text unless `parse_special`, which
  // is what untrusted text needs.
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = false, bool parse_special = true) const;

  // Bytes that are no UTF-8 become U+FFFD; ids that no token has count as nothing.
  std::string decode(const std::vector<int32_t>& ids, bool skip_special = false) const;
  // The same, one id at a time: StreamDecoder is the comfortable way to it. Refers to this tokenizer.
  virtual std::unique_ptr<TextDecoder> new_decoder(bool skip_special) const = 0;

  // Highest id + 1. A model may have more rows than that (padding).
  virtual int64_t vocab_size() const = 0;
  // The token as the vocabulary writes it, not decoded.
  virtual std::optional<int32_t> token_id(std::string_view token) const = 0;
  virtual std::string token_text(int32_t id) const = 0;  // empty for an id that no token has
  virtual bool is_special(int32_t id) const = 0;
  // What the token adds within a text, which need not be whole UTF-8 characters; a special one stands for its name.
  std::string token_bytes(int32_t id) const;

  // From tokenizer_config.json or special_tokens_map.json beside the file, else from the file itself: SentencePiece
  // states them, and in a tokenizer.json a special token with one of the usual names counts.
  std::optional<int32_t> bos_id() const { return bos_; }
  std::optional<int32_t> eos_id() const { return eos_; }

 protected:
  Tokenizer() = default;
  // `text` is valid UTF-8.
  virtual void encode_text(std::string_view text, bool parse_special, std::vector<int32_t>* ids) const = 0;

  std::optional<int32_t> bos_, eos_;
  std::vector<int32_t> before_, after_;  // what add_special_tokens adds

 private:
  friend struct TokenizerConfig;
};

}  // namespace quamba2
