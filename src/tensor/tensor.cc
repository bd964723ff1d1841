// SPDX-License-Identifier: Apache-2.0
#include "tensor/tensor.h"

#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/file.h"
#include "base/memory.h"
#include "quamba2/error.h"
#include "tensor/convert.h"

namespace quamba2 {

const char* name_of(DType type) {
  switch (type) {
    case DType::kF64: return "f64";
    case DType::kF32: return "f32";
    case DType::kF16: return "f16";
    case DType::kBF16: return "bf16";
    case DType::kI64: return "i64";
    case DType::kI32: return "i32";
    case DType::kI8: return "i8";
    case DType::kI6: return "i6";
    case DType::kI4: return "i4";
    case DType::kU8: return "u8";
  }
  return "?";
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

size_t storage_bytes(DType dtype, const std::vector<int64_t>& shape) {
  const uint64_t limit = uint64_t{1} << 62;
  uint64_t rows = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const bool last = i + 1 == shape.size();
    const auto n = static_cast<uint64_t>(shape[i]);
    if (shape[i] < 0 || n > limit)
      throw Error(ErrorCode::kModelFile, "impossible shape", shape_text(shape), "a dimension is out of range");
    uint64_t factor = n;
    if (last) {
      const auto bits = static_cast<uint64_t>(bits_of(dtype));
      if (n > limit / 64)
        throw Error(ErrorCode::kModelFile, "impossible shape", shape_text(shape), "a dimension is out of range");
      factor = bits < 8 ? (n * bits + 31) / 32 * 4 : n * (bits / 8);
    }
    if (factor != 0 && rows > limit / factor) {
      throw Error(ErrorCode::kModelFile, "impossible shape", shape_text(shape), "the tensor would exceed 2^62 bytes");
    }
    rows *= factor;
  }
  return shape.empty() ? static_cast<size_t>(bits_of(dtype)) / 8 : static_cast<size_t>(rows);
}

Tensor::Tensor(DType dtype, std::vector<int64_t> shape) : dtype_(dtype), shape_(std::move(shape)) {
  bytes_ = storage_bytes(dtype_, shape_);
  auto buffer = std::make_shared<AlignedBuffer>(bytes_ ? bytes_ : 1);
  data_ = buffer->data();
  owner_ = std::move(buffer);
}

Tensor Tensor::from(std::vector<int64_t> shape, const std::vector<float>& values) {
  Tensor out(DType::kF32, std::move(shape));
  QUAMBA2_CHECK(out.elements() == static_cast<int64_t>(values.size()), shape_text(out.shape()));
  if (!values.empty()) std::memcpy(out.data(), values.data(), values.size() * sizeof(float));
  return out;
}

Tensor Tensor::mapped(DType dtype, std::vector<int64_t> shape, std::shared_ptr<MappedFile> file, size_t offset) {
  Tensor out;
  out.dtype_ = dtype;
  out.shape_ = std::move(shape);
  out.bytes_ = storage_bytes(dtype, out.shape_);
  QUAMBA2_CHECK(offset <= file->size() && out.bytes_ <= file->size() - offset, file->path());
  out.data_ = const_cast<std::byte*>(file->data()) + offset;
  out.file_ = std::move(file);
  return out;
}

Tensor Tensor::reinterpreted(DType dtype, std::vector<int64_t> shape) const {
  if (storage_bytes(dtype, shape) != bytes_) {
    throw Error(ErrorCode::kModelFile, "wrong tensor size", "",
                std::string(name_of(dtype_)) + shape_text(shape_) + " cannot be " + name_of(dtype) + shape_text(shape),
                "the file is damaged or was written by another program");
  }
  Tensor out = *this;
  out.dtype_ = dtype;
  out.shape_ = std::move(shape);
  return out;
}

int64_t Tensor::elements() const {
  int64_t n = 1;
  for (int64_t d : shape_) n *= d;
  return n;
}

TensorView Tensor::view() const {
  if (shape_.size() > 4)
    throw Error(ErrorCode::kModelFile, "unsupported tensor", shape_text(shape_), "more than four dimensions");
  TensorView v;
  v.data = data_;
  v.dtype = dtype_;
  v.rank = static_cast<uint8_t>(shape_.size());
  int64_t stride = 1;
  for (size_t i = shape_.size(); i-- > 0;) {
    if (shape_[i] > std::numeric_limits<int32_t>::max() || stride > std::numeric_limits<int32_t>::max()) {
      throw Error(ErrorCode::kModelFile, "unsupported tensor", shape_text(shape_), "a dimension exceeds 2^31 - 1");
    }
    v.dim[i] = static_cast<int32_t>(shape_[i]);
    v.stride[i] = static_cast<int32_t>(stride);
    const bool innermost = i + 1 == shape_.size();
    const int bits = bits_of(dtype_);
    if (innermost && bits < 8) {
      // Rows are whole 32-bit words; in elements that is only whole for 4 bits. 6-bit rows are addressed in bytes by
      // tensor/packing.h.
      stride = bits == 4 ? (shape_[i] + 7) / 8 * 8 : shape_[i];
    } else {
      stride *= shape_[i];
    }
  }
  return v;
}

void Tensor::release_pages() const {
  if (!file_) return;
  const auto* begin = static_cast<const std::byte*>(data_);
  file_->release(begin, begin + bytes_);
}

std::vector<float> to_floats(const Tensor& tensor) {
  const auto n = static_cast<size_t>(tensor.elements());
  std::vector<float> out(n);
  // Mapped files may put tensors at odd addresses: elements are copied out one by one.
  const auto* bytes = static_cast<const unsigned char*>(tensor.data());
  switch (tensor.dtype()) {
    case DType::kF32:
      if (n) std::memcpy(out.data(), bytes, n * 4);
      break;
    case DType::kF64:
      for (size_t i = 0; i < n; ++i) {
        double v;
        std::memcpy(&v, bytes + 8 * i, 8);
        out[i] = static_cast<float>(v);
      }
      break;
    case DType::kF16:
    case DType::kBF16:
      for (size_t i = 0; i < n; ++i) {
        uint16_t v;
        std::memcpy(&v, bytes + 2 * i, 2);
        out[i] = tensor.dtype() == DType::kF16 ? f16_to_f32(v) : bf16_to_f32(v);
      }
      break;
    default:
      throw Error(ErrorCode::kModelFile, "unsupported tensor type", name_of(tensor.dtype()),
                  "a floating-point tensor is expected");
  }
  return out;
}

Tensor narrowed(const Tensor& tensor) {
  if (tensor.dtype() != DType::kF32) return tensor;
  Tensor out(DType::kBF16, tensor.shape());
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const float v = tensor.as<const float>()[i];
    out.as<uint16_t>()[i] = f32_to_bf16(v);
    if (bf16_to_f32(out.as<uint16_t>()[i]) != v) return tensor;
  }
  return out;
}

Tensor widened(const Tensor& tensor) {
  return tensor.dtype() == DType::kBF16 ? Tensor::from(tensor.shape(), to_floats(tensor)) : tensor;
}

}  // namespace quamba2
