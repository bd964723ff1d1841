// SPDX-License-Identifier: Apache-2.0
// The pickle inside a PyTorch checkpoint, interpreted as data. It is a small program for a stack machine that may ask
// to call any Python function; this interpreter knows the opcodes that torch.save emits and the handful of names that
// describe tensors. It never calls anything: every other opcode or name is refused, and named in the error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace quamba2 {

// A tensor as the pickle describes it: elements of a storage, which is an entry data/<key> of the archive. All numbers
// are as read; io/torch_layout.h checks them.
struct PickledTensor {
  std::string name;
  std::string storage_key;
  DType dtype = DType::kF32;
  int64_t storage_elements = 0;
  int64_t offset = 0;  // in elements, as strides
  std::vector<int64_t> shape, strides;
};

// The tensors of the state dictionary: the outermost one, or that under "state_dict", "model_state_dict" or "model".
// Other values beside tensors are passed over. `where` names the file in messages. Throws Error{kModelFile}.
std::vector<PickledTensor> read_state_pickle(std::string_view pickle, const std::string& where);

}  // namespace quamba2
