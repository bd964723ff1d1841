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
  return most / (0.5f * static_cast<float>((1 << bits_of(storage)) - 1));
}

// Scales as they are stored: halves stay finite, and f32 ones are numbers that bf16 has, which is how files hold them.
float rounded_scale(DType dtype, float scale) {
  if (dtype == DType::kF32) return bf16_at_least(scale);
  return f16_to_f32(std::min<uint16_t>(f32_to_f16(scale), 0x7bff));
}

float squared_error(const float* w, int64_t n, float scale, float lowest, float highest) {
  const float inverse = 1.0f / scale;
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float code = std::min(std::max(std::nearbyintf(w[i] * inverse), lowest), highest);
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

// One weight on its way: rows are encoded independently of each other.
struct Encoder {
  const std::vector<float>& values;
  ScaleChoice choice;
  int64_t rows, columns, group, groups;
  int threads;
  Weight* out;

  void encode_row(int64_t r) const {
    const DType storage = out->format.storage;
    const int64_t stride = storage == DType::kI8 ? columns : packed_row_bytes(columns, bits_of(storage));
    uint8_t* row = static_cast<uint8_t*>(out->values.data()) + r * stride;
    const float* w = values.data() + r * columns;
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t begin = g * group, end = std::min(columns, begin + group);
      const float largest = scale_for(w + begin, end - begin, storage);
      const float scale = choice == ScaleChoice::kLargest
                              ? rounded_scale(out->format.level[0].dtype, largest)
                              : least_squares_scale(w + begin, end - begin, largest, out->format);
      store_element(out->scales[0].data(), out->scales[0].dtype(), r * groups + g, scale);
      encode_run(w, begin, end, scale, storage, row);
    }
  }

  static void encode_share(void* context, int thread) {
    const auto& self = *static_cast<const Encoder*>(context);
    for (int64_t r = thread; r < self.rows; r += self.threads) self.encode_row(r);
  }
};

}  // namespace

Weight encode_weight(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values,
                     const Format& format, ScaleChoice choice, const Stream& stream) {
  QUAMBA2_CHECK(shape.size() == 2 && format.levels == 1 && !is_float(format.storage), name);
  const int64_t rows = shape[0], columns = shape[1];
  const bool grouped = format.level[0].grain == Grain::kGroup;
  const int64_t group = grouped ? format.level[0].group : std::max<int64_t>(columns, 1);
  const int64_t groups = (columns + group - 1) / group;
  Weight out;
  out.name = name;
  out.format = format;
  out.values = Tensor(format.storage, shape);
  out.scales[0] =
      Tensor(format.level[0].dtype, grouped ? std::vector<int64_t>{rows, groups} : std::vector<int64_t>{rows});
  Encoder encoder{values, choice, rows, columns, group, groups, stream.threads, &out};
  stream.parallel(stream.pool, Encoder::encode_share, &encoder);
  return out;
}

}  // namespace quamba2
