// SPDX-License-Identifier: Apache-2.0
// Any bytes as text for the tokenizers of tests/data: byte-level ones give back what they were given.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

struct Style {
  const char* name;
  bool exact;  // no normalizer, all bytes in the vocabulary
  std::shared_ptr<const quamba2::Tokenizer> tokenizer;
};

const std::vector<Style>& styles() {
  static const std::vector<Style> all = [] {
    const std::string folder = std::string(QUAMBA2_SOURCE_DIR) + "/tests/data/tokenizers/";
    std::vector<Style> list = {{"gpt2", true, {}},    {"llama3", true, {}},    {"falcon", true, {}},
                               {"neox", false, {}},   {"prefix", false, {}},   {"splits", false, {}},
                               {"llama2", false, {}}, {"metaspace", false, {}}};
    for (Style& s : list) {
      s.tokenizer = quamba2::Tokenizer::load(folder + s.name);
    }
    return list;
  }();
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Style& style = styles()[data[0] % styles().size()];
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto ids = style.tokenizer->encode(text, false, false);
  const std::string whole = style.tokenizer->decode(ids);
  if (style.exact) QUAMBA2_CHECK(whole == quamba2::utf8_sanitize(text), "the round trip lost something");
  QUAMBA2_CHECK(quamba2::utf8_valid_prefix(whole) == whole.size(), "decoded text is not UTF-8");
  quamba2::StreamDecoder stream(style.tokenizer);
  std::string pieces;
  for (int32_t id : ids) pieces += stream.push(id);
  QUAMBA2_CHECK(pieces + stream.flush() == whole, "the stream differs from the whole");
  style.tokenizer->encode(text, true, true);
  return 0;
}
