// SPDX-License-Identifier: Apache-2.0
// In builds without CUDA.
#include "backends/cuda/cuda_backend.h"
#include "quamba2/error.h"

namespace quamba2 {

std::shared_ptr<Backend> make_cuda_backend(int index) {
  throw Error(ErrorCode::kResource, "no such device", "cuda:" + std::to_string(index),
              "this build has no CUDA back end", "build it where nvcc is, or use --device cpu");
}

}  // namespace quamba2
