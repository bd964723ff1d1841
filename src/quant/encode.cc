// SPDX-License-Identifier: Apache-2.0
#include "quant/encode.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "tensor/convert.h"
#include "tensor/operand.h"
#include "tensor/packing.h"

namespace quamba2 {
namespace {

// s = 2 max|w| / (2^b - 1) for packed codes, max|w| / 127 for INT8.
float scale_for(const float* w, int64_t n, DType storage) {
  float most = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::fabs(w[i]));
  if (storage == DType::kI8) return most / 127.0f;
  return 2.0f * most / static_cast<float>((1 << bits_of(storage)) - 1);
}

float store_scale(Tensor* scales, int64_t index, float scale) {
  if (scales->dtype() == DType::kF32) return scales->as<float>()[index] = scale;
  uint16_t half = f32_to_f16(scale);
  half = std::min<uint16_t>(half, 0x7bff);  // the largest finite one
  scales->as<uint16_t>()[index] = half;
  return f16_to_f32(half);
}

void encode_run(const float* w, int64_t begin, int64_t end, float scale, DType storage, uint8_t* row) {
  const float lowest = static_cast<float>(min_code(storage)), highest = static_cast<float>(max_code(storage));
  for (int64_t k = begin; k < end; ++k) {
    const float code = scale == 0 ? 0 : std::clamp(std::nearbyintf(w[k] / scale), lowest, highest);
    if (storage == DType::kI8) {
      row[k] = static_cast<uint8_t>(static_cast<int8_t>(code));
    } else {
      const int bits = bits_of(storage);
      pack_code(row, k, bits, static_cast<uint32_t>(static_cast<int>(code) + (1 << (bits - 1))));
    }
  }
}

}  // namespace

Weight encode_weight(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values, const Format& format) {
  QUAMBA2_CHECK(shape.size() == 2 && format.levels == 1 && !is_float(format.storage), name);
  const int64_t rows = shape[0], columns = shape[1];
  const ScaleLevel& level = format.level[0];
  const bool grouped = level.grain == Grain::kGroup;
  const int64_t group = grouped ? level.group : std::max<int64_t>(columns, 1), groups = (columns + group - 1) / group;
  Weight out;
  out.name = name;
  out.format = format;
  out.values = Tensor(format.storage, shape);
  out.scales[0] = Tensor(level.dtype, grouped ? std::vector<int64_t>{rows, groups} : std::vector<int64_t>{rows});
  for (int64_t r = 0; r < rows; ++r) {
    auto* row = static_cast<uint8_t*>(out.values.data()) + r * packed_row_bytes(columns, bits_of(format.storage));
    if (format.storage == DType::kI8) row = static_cast<uint8_t*>(out.values.data()) + r * columns;
    const float* w = values.data() + r * columns;
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t begin = g * group, end = std::min(columns, begin + group);
      const float scale = store_scale(&out.scales[0], r * groups + g, scale_for(w + begin, end - begin, format.storage));
      encode_run(w, begin, end, scale, format.storage, row);
    }
  }
  return out;
}

}  // namespace quamba2
