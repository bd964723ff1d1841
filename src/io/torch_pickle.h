// SPDX-License-Identifier: Apache-2.0
// PyTorch checkpoints (pytorch_model.bin): a zip archive with a pickle that says which bytes are which tensor. The
// pickle is interpreted, never executed: see io/pickle.h.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace quamba2 {

// All tensors of a file that torch.save wrote (PyTorch 1.6 or newer). Stored data is mapped, not copied; tensors that
// share a storage share their bytes; strided ones are made contiguous, and overlapping ones refused. Data that lies at
// an address that is odd for its type, or that is compressed, is copied. Throws Error{kModelFile}.
std::map<std::string, Tensor> read_torch_checkpoint(const std::string& path);

// The same from memory, everything copied. `where` names the file in messages.
std::map<std::string, Tensor> read_torch_checkpoint(std::string_view file, const std::string& where);

}  // namespace quamba2
