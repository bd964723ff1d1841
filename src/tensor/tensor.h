// SPDX-License-Identifier: Apache-2.0
// Host tensors that own their memory, or keep a mapped file alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "tensor/view.h"

namespace quamba2 {

class MappedFile;

class Tensor {
 public:
  Tensor() = default;
  // Zeroed memory. Dimensions are checked: each >= 0, the product within 2^62 bytes. Throws Error{kResource}.
  Tensor(DType dtype, std::vector<int64_t> shape);
  static Tensor from(std::vector<int64_t> shape, const std::vector<float>& values);

  // A view into a mapped file, which is kept alive. The caller has checked that the bytes lie inside.
  static Tensor mapped(DType dtype, std::vector<int64_t> shape, std::shared_ptr<MappedFile> file, size_t offset);

  // The same bytes seen as another type and shape; the byte counts must agree. Throws Error{kModelFile}.
  Tensor reinterpreted(DType dtype, std::vector<int64_t> shape) const;

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t dim(size_t i) const { return shape_[i]; }
  int64_t elements() const;
  size_t bytes() const { return bytes_; }
  bool empty() const { return data_ == nullptr; }
  void* data() const { return data_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  // Contiguous, or with sub-byte rows on 32-bit words. Throws Error{kModelFile} where a dimension exceeds 2^31 - 1 or
  // the rank 4.
  TensorView view() const;
  // Gives mapped pages back to the system; memory that is owned stays.
  void release_pages() const;

 private:
  DType dtype_ = DType::kF32;
  std::vector<int64_t> shape_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
  std::shared_ptr<void> owner_;
  std::shared_ptr<MappedFile> file_;
};

std::string shape_text(const std::vector<int64_t>& shape);  // "[2, 70, 96]"

// Bytes of a contiguous tensor; sub-byte rows are padded to 32-bit words. Throws Error{kModelFile} on overflow.
size_t storage_bytes(DType dtype, const std::vector<int64_t>& shape);

// An f32 tensor as bf16 where that loses nothing; any other one as it is. `widened` is the way back.
Tensor narrowed(const Tensor& tensor);
Tensor widened(const Tensor& tensor);

// All elements of a float tensor (f64, f32, f16, bf16), converted. Throws Error{kModelFile} for other types.
std::vector<float> to_floats(const Tensor& tensor);

}  // namespace quamba2
