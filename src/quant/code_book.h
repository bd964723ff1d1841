// SPDX-License-Identifier: Apache-2.0
// The values that the codes of one weight row can take: one or two levels of scales (method.md 2.1, 2.7).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tensor/operand.h"
#include "tensor/view.h"

namespace quamba2 {

// A scale as it is stored: halves stay finite, and f32 ones are numbers that bf16 has, which is how files hold them.
float rounded_scale(DType dtype, float scale);

// Rounds to nearest, ties to even, for |v| < 2^22, in two additions that the compiler can vectorize.
inline float round_code(float v) {
  constexpr float kMagic = 0x1.8p23f;
  return (v + kMagic) - kMagic;
}

// Scales of one row, a group each, and the row's own where there are two levels. A scale may be negative.
class RowScales {
 public:
  RowScales(const Format& format, int64_t groups)
      : format_(format),
        lowest_(static_cast<float>(min_code(format.storage))),
        highest_(static_cast<float>(max_code(format.storage))),
        scale_(static_cast<size_t>(groups)),
        inverse_(static_cast<size_t>(groups)) {}

  int64_t groups() const { return static_cast<int64_t>(scale_.size()); }
  // Rounds the scales to their type and sets the row's: s_c = 8 max|s_g| / 127, so that every value is an INT8 times s_c.
  void set(const float* scales);
  float scale(int64_t group) const { return scale_[static_cast<size_t>(group)]; }
  float row_scale() const { return row_scale_; }

  float value(float code, int64_t group) const {
    const float v = code * scale_[static_cast<size_t>(group)];
    if (format_.levels < 2) return v;
    return row_scale_ == 0 ? 0.0f : round_code(v / row_scale_) * row_scale_;
  }
  float nearest(float target, int64_t group) const {
    return round_code(std::min(std::max(target * inverse_[static_cast<size_t>(group)], lowest_), highest_));
  }

 private:
  Format format_;
  float lowest_, highest_, row_scale_ = 1;
  std::vector<float> scale_, inverse_;
};

}  // namespace quamba2
