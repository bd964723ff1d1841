// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

namespace quamba2 {

std::string hex_digits(uint64_t value) {
  std::string out(16, '0');
  for (size_t i = out.size(); i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 15];
  return out;
}

}  // namespace quamba2
