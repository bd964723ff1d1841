// SPDX-License-Identifier: Apache-2.0
#include "ops/reference/math.h"

#include "tensor/hadamard.h"

#include <algorithm>

namespace quamba2::reference {

std::vector<Segment> runs_of(const Segment* segments, int32_t count, int32_t every) {
  std::vector<Segment> runs;
  for (int32_t i = 0; i < count; ++i) {
    const Segment& s = segments[i];
    const int32_t step = every > 0 ? every : std::max(s.length, 1);
    for (int32_t at = 0; at < s.length; at += step)
      runs.push_back({s.begin + at, std::min(step, s.length - at), s.slot});
  }
  return runs;
}

std::vector<double> parameters(const TensorView& view, int64_t count, double fallback) {
  std::vector<double> out(static_cast<size_t>(count), fallback);
  if (!view.data) return out;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t length = row_length(view);
    out[static_cast<size_t>(i)] = load_element(row_address(view, i / length), view.dtype, i % length);
  }
  return out;
}

void write_parts(const OutputParts& out, const std::vector<double>& values) {
  const int64_t columns = out.begin[out.count];
  for (int32_t i = 0; i < out.count; ++i) {
    for (int64_t t = 0; t < row_count(out.part[i].values); ++t) {
      encode_row(out.part[i], t, values.data() + t * columns + out.begin[i]);
    }
  }
}

void rotate(Rotation rotation, std::vector<double>* values) {
  if (rotation == Rotation::kNone) return;
  hadamard_transform(values->data(), static_cast<int64_t>(values->size()), rotation == Rotation::kTransposedHadamard);
}

}  // namespace quamba2::reference
