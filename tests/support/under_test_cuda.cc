// SPDX-License-Identifier: Apache-2.0
#include "support/cuda_device.h"
#include "support/under_test.h"

namespace quamba2::testing {

const UnderTest& under_test() {
  static const KernelTable* table = cuda_backend() ? &cuda_backend()->table() : nullptr;
  static const UnderTest cuda = table ? UnderTest{{&table, 1}, cuda_backend()->device(), 2} : UnderTest{};
  return cuda;
}

Stream test_stream(int, void* scratch) {
  Stream stream = cuda_backend()->stream();
  stream.scratch = static_cast<char*>(scratch);
  return stream;
}

}  // namespace quamba2::testing
