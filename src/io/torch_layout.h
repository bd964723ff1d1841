// SPDX-License-Identifier: Apache-2.0
// Checks what a pickle claims about a tensor against its storage, and gathers strided tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "io/pickle.h"
#include "tensor/tensor.h"

namespace quamba2 {

// Throws Error{kModelFile} unless every element lies inside the storage and no two lie on the same place. `where` names
// file and tensor.
void check_layout(const PickledTensor& tensor, const std::string& where);

bool is_contiguous(const PickledTensor& tensor);

// A contiguous copy; `storage` points to the first element of the storage. The layout has been checked.
Tensor gather(const PickledTensor& tensor, const std::byte* storage);

}  // namespace quamba2
