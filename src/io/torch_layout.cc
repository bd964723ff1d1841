// SPDX-License-Identifier: Apache-2.0
#include "io/torch_layout.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::kModelFile, "invalid torch checkpoint", where, why,
              "save the model again with every tensor made contiguous, or fetch the file again");
}

bool holds_elements(const PickledTensor& tensor) {
  return std::find(tensor.shape.begin(), tensor.shape.end(), 0) == tensor.shape.end();
}

}  // namespace

void check_layout(const PickledTensor& tensor, const std::string& where) {
  const std::string text = "shape " + shape_text(tensor.shape) + ", strides " + shape_text(tensor.strides) +
                           " and offset " + std::to_string(tensor.offset);
  try {
    storage_bytes(tensor.dtype, tensor.shape);
    storage_bytes(tensor.dtype, {tensor.storage_elements});
  } catch (const Error& e) {
    throw e.within(where);
  }
  if (tensor.offset < 0 || tensor.offset > tensor.storage_elements) {
    fail(where, text + " lie outside its storage of " + std::to_string(tensor.storage_elements) + " elements");
  }
  if (!holds_elements(tensor)) return;
  std::vector<std::pair<int64_t, int64_t>> steps;  // stride, dimension
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.strides[i] < 0) fail(where, text + ": a stride is negative");
    if (tensor.shape[i] > 1) steps.emplace_back(tensor.strides[i], tensor.shape[i]);
  }
  std::sort(steps.begin(), steps.end());
  int64_t reach = 0;                                             // the largest distance from the first element so far
  const int64_t room = tensor.storage_elements - tensor.offset;  // of elements
  for (const auto& [stride, dim] : steps) {
    // A step must leave everything that smaller steps reach behind, or two elements could fall on one place.
    if (stride <= reach) fail(where, text + " put several elements on one place");
    if (stride >= room || dim - 1 > (room - 1 - reach) / stride) {
      fail(where, text + " reach past its storage of " + std::to_string(tensor.storage_elements) + " elements");
    }
    reach += (dim - 1) * stride;
  }
  if (room < 1)
    fail(where, text + " lie outside its storage of " + std::to_string(tensor.storage_elements) + " elements");
}

bool is_contiguous(const PickledTensor& tensor) {
  if (!holds_elements(tensor)) return true;
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

Tensor gather(const PickledTensor& tensor, const std::byte* storage) {
  Tensor out(tensor.dtype, tensor.shape);
  if (!holds_elements(tensor)) return out;
  const auto element = static_cast<size_t>(bits_of(tensor.dtype) / 8);
  const size_t rank = tensor.shape.size();
  std::vector<int64_t> index(rank, 0);
  int64_t at = tensor.offset;
  std::byte* to = out.as<std::byte>();
  const int64_t n = out.elements();
  for (int64_t i = 0; i < n; ++i, to += element) {
    std::memcpy(to, storage + static_cast<size_t>(at) * element, element);
    for (size_t d = rank; d-- > 0;) {
      if (tensor.shape[d] == 1) continue;  // its stride may be any number
      at += tensor.strides[d];
      if (++index[d] < tensor.shape[d]) break;
      at -= tensor.strides[d] * tensor.shape[d];
      index[d] = 0;
    }
  }
  return out;
}

}  // namespace quamba2
