// SPDX-License-Identifier: Apache-2.0
#include "quant/code_book.h"

#include "tensor/convert.h"

namespace quamba2 {

float rounded_scale(DType dtype, float scale) {
  if (dtype == DType::kF32) return scale < 0 ? -bf16_at_least(-scale) : bf16_at_least(scale);
  const float v = f16_to_f32(std::min<uint16_t>(f32_to_f16(std::fabs(scale)), 0x7bff));
  return scale < 0 ? -v : v;
}

void RowScales::set(const float* scales) {
  float most = 0;
  for (size_t g = 0; g < scale_.size(); ++g) {
    scale_[g] = rounded_scale(format_.level[0].dtype, scales[g]);
    inverse_[g] = scale_[g] == 0 ? 0.0f : 1.0f / scale_[g];
    most = std::max(most, std::fabs(scale_[g]));
  }
  if (format_.levels < 2) return;
  row_scale_ = rounded_scale(format_.level[1].dtype, 8.0f * most / 127.0f);
}

}  // namespace quamba2
