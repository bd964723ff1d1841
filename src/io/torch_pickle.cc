// SPDX-License-Identifier: Apache-2.0
#include "io/torch_pickle.h"

#include "quamba2/error.h"

namespace quamba2 {

std::map<std::string, Tensor> read_torch_checkpoint(const std::string& path) {
  throw Error(ErrorCode::kModelFile, "unsupported weights", path, "torch pickles are not supported yet");
}

}  // namespace quamba2
