// SPDX-License-Identifier: Apache-2.0
// Any bytes as a torch checkpoint, zip archive and all: tensors, or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "io/torch_pickle.h"
#include "quamba2/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    quamba2::read_torch_checkpoint(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
  } catch (const quamba2::Error& e) {
    if (e.code() != quamba2::ErrorCode::kModelFile) __builtin_trap();
  }
  return 0;
}
