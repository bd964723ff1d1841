// SPDX-License-Identifier: Apache-2.0
// Token ids from Python, and logits to it.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace quamba2::python {

namespace nb = nanobind;

using IdArray = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Logits = nb::ndarray<nb::numpy, float>;

// Token ids in a list, or in a one-dimensional array of any library that knows DLPack or the buffer protocol: 32-bit ones
// are used where they lie, 64-bit ones copied. PyTorch's tensors on a GPU are brought here.
class Ids {
 public:
  // Throws TypeError for anything else, and ValueError for ids beyond 32 bits.
  explicit Ids(nb::handle given);
  std::span<const int32_t> span() const { return span_; }
  std::vector<int32_t> vector() const { return {span_.begin(), span_.end()}; }

 private:
  IdArray array_;  // keeps it alive
  std::vector<int32_t> copy_;
  std::span<const int32_t> span_;
};

// A NumPy array that owns `values`, which are not copied.
Logits to_numpy(std::vector<float>&& values, std::initializer_list<size_t> shape);

}  // namespace quamba2::python
