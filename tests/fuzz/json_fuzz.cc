// SPDX-License-Identifier: Apache-2.0
// Any bytes as JSON: a value that survives being written and read again, or an Error.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "quamba2/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string written;
  try {
    written = quamba2::Json::parse(text, "fuzz").dump(-1);
  } catch (const quamba2::Error& e) {
    if (e.code() != quamba2::ErrorCode::kModelFile) __builtin_trap();
    return 0;
  }
  // Whatever we write we must be able to read, and writing that again changes nothing.
  if (quamba2::Json::parse(written, "written").dump(-1) != written) __builtin_trap();
  return 0;
}
