// SPDX-License-Identifier: Apache-2.0
#include "quant/encode.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "quant/for_rows.h"
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
  return most / (0.5f * static_cast<float>((1 << bits_of(storage)) - 1));
}

float squared_error(const float* w, int64_t n, float scale, float lowest, float highest) {
  const float inverse = 1.0f / scale;
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float code = round_code(std::min(std::max(w[i] * inverse, lowest), highest));
    const float error = w[i] - code * scale;
    sum += error * error;
  }
  return sum;
}

// Clipping a few large weights buys a finer step for all others: shares of the largest scale are tried. Packed codes
// reach one further below zero than above, so that a negative scale may fit better.
float least_squares_scale(const float* w, int64_t n, float largest, const Format& format) {
  constexpr int kCandidates = 24;
  constexpr float kStep = 0.02f;
  const auto lowest = static_cast<float>(min_code(format.storage)),
             highest = static_cast<float>(max_code(format.storage));
  float best = rounded_scale(format.level[0].dtype, largest), least = INFINITY;
  for (int i = 0; i < kCandidates; ++i) {
    const float scale = rounded_scale(format.level[0].dtype, largest * (1.0f - kStep * static_cast<float>(i)));
    if (scale == 0) break;
    for (const float signed_scale : {scale, -scale}) {
      const float error = squared_error(w, n, signed_scale, lowest, highest);
      if (error < least) least = error, best = signed_scale;
    }
  }
  return best;
}

}  // namespace

int64_t group_size(const Format& format, int64_t columns) {
  return format.level[0].grain == Grain::kGroup ? format.level[0].group : std::max<int64_t>(columns, 1);
}

std::vector<float> choose_scales(const float* w, int64_t columns, const Format& format, ScaleChoice choice) {
  std::vector<float> out;
  const int64_t group = group_size(format, columns);
  for (int64_t begin = 0; begin < columns; begin += group) {
    const int64_t n = std::min(group, columns - begin);
    const float largest = scale_for(w + begin, n, format.storage);
    out.push_back(choice == ScaleChoice::kLargest ? rounded_scale(format.level[0].dtype, largest)
                                                  : least_squares_scale(w + begin, n, largest, format));
  }
  return out;
}

Weight empty_weight(const std::string& name, const std::vector<int64_t>& shape, const Format& format) {
  QUAMBA2_CHECK(shape.size() == 2 && format.levels > 0 && !is_float(format.storage), name);
  const int64_t group = group_size(format, shape[1]), groups = (shape[1] + group - 1) / group;
  Weight out;
  out.name = name;
  out.format = format;
  out.values = Tensor(format.storage, shape);
  const bool grouped = format.level[0].grain == Grain::kGroup;
  out.scales[0] =
      Tensor(format.level[0].dtype, grouped ? std::vector<int64_t>{shape[0], groups} : std::vector<int64_t>{shape[0]});
  if (format.levels == 2) out.scales[1] = Tensor(format.level[1].dtype, {shape[0]});
  return out;
}

void store_row(Weight* weight, int64_t row, const float* codes, const RowScales& scales) {
  const DType storage = weight->format.storage;
  const int bits = bits_of(storage);
  const int64_t columns = weight->values.dim(1);
  uint8_t* to = static_cast<uint8_t*>(weight->values.data()) +
                row * (storage == DType::kI8 ? columns : packed_row_bytes(columns, bits));
  for (int64_t k = 0; k < columns; ++k) {
    const int code = static_cast<int>(codes[k]);
    if (storage == DType::kI8) {
      to[k] = static_cast<uint8_t>(static_cast<int8_t>(code));
    } else {
      pack_code(to, k, bits, static_cast<uint32_t>(code + (1 << (bits - 1))));
    }
  }
  const int64_t groups = scales.groups();
  for (int64_t g = 0; g < groups; ++g)
    store_element(weight->scales[0].data(), weight->scales[0].dtype(), row * groups + g, scales.scale(g));
  if (weight->format.levels == 2)
    store_element(weight->scales[1].data(), weight->scales[1].dtype(), row, scales.row_scale());
}

Weight encode_weight(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values,
                     const Format& format, ScaleChoice choice, const Stream& stream) {
  Weight out = empty_weight(name, shape, format);
  const int64_t columns = shape[1], group = group_size(format, columns);
  const RowScales empty(format, (columns + group - 1) / group);
  for_rows(stream, shape[0], [&](int64_t r) {
    const float* w = values.data() + r * columns;
    RowScales scales = empty;
    scales.set(choose_scales(w, columns, format, choice).data());
    std::vector<float> codes(static_cast<size_t>(columns));
    for (int64_t k = 0; k < columns; ++k) codes[static_cast<size_t>(k)] = scales.nearest(w[k], k / group);
    store_row(&out, r, codes.data(), scales);
  });
  return out;
}

}  // namespace quamba2
