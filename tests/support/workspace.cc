// SPDX-License-Identifier: Apache-2.0
#include "support/workspace.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace quamba2::testing {
namespace {

constexpr size_t kCanary = 128;

std::vector<int32_t> column_scale_dims(const std::vector<int32_t>& dims, const Spec& spec) {
  if (dims.size() < 3) return {dims.back()};
  std::vector<int32_t> out = dims;
  if (spec.dynamic) out[out.size() - 2] = state_blocks(out[out.size() - 2]);
  if (!spec.dynamic && !spec.along_states) out.erase(out.end() - 2);
  if (!spec.dynamic) out.erase(out.begin());
  return out;
}

double draw(Workspace& space, const Spec& spec, int64_t column, int64_t columns) {
  switch (spec.values) {
    case Values::kNormal: return spec.mean + spec.spread * space.random.normal();
    case Values::kZero: return 0;
    case Values::kHugeChannel:
      return spec.mean + spec.spread * space.random.normal() * (column == columns / 2 ? 1000 : 1);
    case Values::kDenormal: return static_cast<double>(space.random.below(200) - 100) * 0x1p-149;
    case Values::kEnds: return space.random.below(2) ? spec.spread : -spec.spread;
  }
  return 0;
}

}  // namespace

unsigned char* Workspace::allocate(size_t bytes, size_t shift, int fill) {
  Guarded block;
  block.memory = AlignedBuffer(kCanary + shift + bytes + kCanary);
  auto* base = static_cast<unsigned char*>(block.memory.data());
  std::memset(base, 0xff, block.memory.size());
  unsigned char* out = base + kCanary + shift;
  if (fill != 0xff) std::memset(out, fill, bytes);
  blocks_.push_back(std::move(block));
  return out;
}

void* Workspace::bytes(size_t count, int fill) { return allocate(count, 0, fill); }

TensorView Workspace::view(DType dtype, const std::vector<int32_t>& dims, int row_pad, int misalign) {
  TensorView v;
  v.dtype = dtype;
  v.rank = static_cast<uint8_t>(dims.size());
  int32_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    v.dim[i] = dims[i];
    v.stride[i] = stride;
    stride = (i + 1 == dims.size()) ? dims[i] + row_pad : stride * dims[i];
  }
  const auto size = static_cast<size_t>(bits_of(dtype)) / 8;
  v.data = allocate(static_cast<size_t>(std::max(stride, 1)) * size, static_cast<size_t>(misalign) * size, 0xff);
  return v;
}

TensorView Workspace::floats(const std::vector<int32_t>& dims, double mean, double spread, int misalign) {
  Spec spec;
  spec.mean = mean;
  spec.spread = spread;
  spec.misalign = misalign;
  return operand(dims, spec).values;
}

TensorView Workspace::indices(const std::vector<int32_t>& values) {
  const TensorView v = view(DType::kI32, {static_cast<int32_t>(values.size())});
  std::memcpy(v.data, values.data(), values.size() * sizeof(int32_t));
  return v;
}

Operand Workspace::output(const std::vector<int32_t>& dims, const Spec& spec) {
  Operand out;
  out.format.storage = spec.storage;
  out.values = view(spec.storage, dims, spec.row_pad, spec.misalign);
  if (is_float(spec.storage)) return out;
  out.format.levels = 1;
  out.format.level[0].grain = spec.grain;
  std::vector<int32_t> scale_dims = {1};
  if (spec.grain == Grain::kColumn) scale_dims = column_scale_dims(dims, spec);
  out.format.dynamic = spec.dynamic;
  if (spec.grain == Grain::kRow) {
    out.format.dynamic = true;
    scale_dims = {dims[0]};
  }
  out.scales[0] = view(DType::kF32, scale_dims);
  return out;
}

Operand Workspace::operand(const std::vector<int32_t>& dims, const Spec& spec) {
  const Operand out = output(dims, spec);
  fill(out, spec, true);
  return out;
}

Operand Workspace::operand_like(const std::vector<int32_t>& dims, const Spec& spec, const Operand& scales_of) {
  Operand out = output(dims, spec);
  out.scales[0] = scales_of.scales[0];
  fill(out, spec, false);
  return out;
}

void Workspace::fill(const Operand& operand, const Spec& spec, bool choose_scales) {
  const int64_t rows = row_count(operand.values), columns = row_length(operand.values);
  std::vector<double> values(static_cast<size_t>(rows * columns));
  for (int64_t i = 0; i < rows * columns; ++i) values[static_cast<size_t>(i)] = draw(*this, spec, i % columns, columns);
  if (operand.format.levels > 0 && !operand.format.dynamic && choose_scales) set_scales(operand, values, spec.clip);
  encode(values, operand);
}

const Segment* Workspace::segments(const std::vector<Segment>& list) {
  segments_.push_back(std::make_unique<std::vector<Segment>>(list));
  return segments_.back()->data();
}

std::vector<Block> Workspace::blocks() const {
  std::vector<Block> out;
  for (const Guarded& b : blocks_) out.push_back({b.memory.data(), b.memory.size()});
  for (const auto& list : segments_) out.push_back({list->data(), list->size() * sizeof(Segment)});
  return out;
}

void Workspace::take_snapshot() {
  for (Guarded& b : blocks_) {
    const auto* p = static_cast<const unsigned char*>(b.memory.data());
    b.snapshot.assign(p, p + b.memory.size());
  }
}

void Workspace::restore() const {
  for (const Guarded& b : blocks_) std::memcpy(b.memory.data(), b.snapshot.data(), b.snapshot.size());
}

bool Workspace::unchanged() const {
  return std::all_of(blocks_.begin(), blocks_.end(), [](const Guarded& b) {
    return std::memcmp(b.memory.data(), b.snapshot.data(), b.snapshot.size()) == 0;
  });
}

void Workspace::restore_elements(const Operand& operand) const {
  const auto* first = static_cast<const unsigned char*>(operand.values.data);
  for (const Guarded& b : blocks_) {
    const auto* base = static_cast<const unsigned char*>(b.memory.data());
    if (first < base || first >= base + b.snapshot.size()) continue;
    const size_t row_bytes = static_cast<size_t>(row_length(operand.values) * bits_of(operand.values.dtype) / 8);
    for (int64_t r = 0; r < row_count(operand.values); ++r) {
      auto* row = static_cast<unsigned char*>(row_address(operand.values, r));
      std::memcpy(row, b.snapshot.data() + (row - base), row_bytes);
    }
  }
}

int64_t scale_index(const Operand& operand, int64_t row, int64_t column) {
  if (operand.format.level[0].grain == Grain::kTensor) return 0;
  if (operand.format.level[0].grain == Grain::kRow) return row;
  return scale_row(operand, row) * row_length(operand.scales[0]) + column;
}

Operand scales_operand(const Operand& operand) {
  Operand out;
  out.values = operand.scales[0];
  return out;
}

void set_scales(const Operand& output, const std::vector<double>& exact, double clip) {
  const int64_t columns = row_length(output.values);
  const TensorView& scales = output.scales[0];
  std::vector<double> largest(static_cast<size_t>(row_count(scales) * row_length(scales)), 0.0);
  for (size_t i = 0; i < exact.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    double& m = largest[static_cast<size_t>(scale_index(output, at / columns, at % columns))];
    if (std::isfinite(exact[i])) m = std::max(m, std::fabs(exact[i]));
  }
  for (size_t i = 0; i < largest.size(); ++i)
    static_cast<float*>(scales.data)[i] = static_cast<float>(largest[i] * clip / 127);
}

}  // namespace quamba2::testing
