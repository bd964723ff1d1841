// SPDX-License-Identifier: Apache-2.0
// Any bytes as a tokenizer.json: an Error, or a tokenizer that encodes and decodes without falling over.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "quamba2/error.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = quamba2::Tokenizer::from_json(text, "fuzz");
    for (const std::string_view sample : {"Hello, it's 1234  \r\n \xC3\xA9\xE2\x96\x81<s>", "ab", " "}) {
      const auto ids = tokenizer->encode(sample, true);
      const std::string whole = tokenizer->decode(ids);
      QUAMBA2_CHECK(quamba2::utf8_valid_prefix(whole) == whole.size(), "decoded text is not UTF-8");
      quamba2::StreamDecoder stream(tokenizer);
      std::string pieces;
      for (int32_t id : ids) pieces += stream.push(id);
      QUAMBA2_CHECK(pieces + stream.flush() == whole, "the stream differs from the whole");
    }
  } catch (const quamba2::Error& e) {
    if (e.code() == quamba2::ErrorCode::kInternal) throw;  // a failed check is a finding
  }
  return 0;
}
