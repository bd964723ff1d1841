// SPDX-License-Identifier: Apache-2.0
// Any bytes as the data.pkl of a torch checkpoint: a list of tensors, or an Error. Layouts that pass their check are
// gathered from a storage of exactly the claimed size.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "io/pickle.h"
#include "io/torch_layout.h"
#include "quamba2/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto tensors = quamba2::read_state_pickle({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const auto& tensor : tensors) {
      try {
        quamba2::check_layout(tensor, "fuzz");
      } catch (const quamba2::Error&) {
        continue;
      }
      if (tensor.storage_elements > 4096) continue;
      const std::vector<std::byte> storage(
          static_cast<size_t>(tensor.storage_elements * quamba2::bits_of(tensor.dtype) / 8));
      quamba2::is_contiguous(tensor);
      quamba2::gather(tensor, storage.data());
    }
  } catch (const quamba2::Error& e) {
    if (e.code() != quamba2::ErrorCode::kModelFile) __builtin_trap();
  }
  return 0;
}
