// SPDX-License-Identifier: Apache-2.0
#include "ops/ssd_scan.h"

#include <algorithm>

#include "ops/reference/math.h"

namespace quamba2 {
namespace {

// Runs one head of one segment token by token; out is [T, H * P].
void scan_head(const SsdScanArgs& args, const Segment& seg, int64_t h, const std::vector<double>& d,
               std::vector<double>* out) {
  const TensorView& view = args.state.values;
  const int64_t heads = view.dim[1], states = view.dim[2], width = view.dim[3];
  const int64_t group = h * args.groups / heads;
  const double a = -std::exp(reference::parameters(args.a_log, heads, 0.0)[static_cast<size_t>(h)]);
  const double dt_bias = reference::parameters(args.dt_bias, heads, 0.0)[static_cast<size_t>(h)];
  const int64_t state_row = (seg.slot * heads + h) * states;
  std::vector<double> s(static_cast<size_t>(states * width));
  for (int64_t i = 0; i < states * width; ++i) {
    s[static_cast<size_t>(i)] = decode_element(args.state, state_row + i / width, i % width);
  }
  std::vector<double> b(static_cast<size_t>(states)), c(b);
  for (int64_t t = seg.begin; t < seg.begin + seg.length; ++t) {
    const double delta =
        std::clamp(reference::softplus(decode_element(args.dt, t, h) + dt_bias), args.dt_min, args.dt_max);
    const double decay = std::exp(delta * a);
    for (int64_t n = 0; n < states; ++n) {
      b[static_cast<size_t>(n)] = decode_element(args.b, t, group * states + n);
      c[static_cast<size_t>(n)] = decode_element(args.c, t, group * states + n);
    }
    for (int64_t p = 0; p < width; ++p) {
      const double x = decode_element(args.x, t, h * width + p);
      double y = d[static_cast<size_t>(h * width + p)] * x;
      for (int64_t n = 0; n < states; ++n) {
        double& state = s[static_cast<size_t>(n * width + p)];
        state = decay * state + delta * b[static_cast<size_t>(n)] * x;
        y += c[static_cast<size_t>(n)] * state;
      }
      (*out)[static_cast<size_t>((t * heads + h) * width + p)] = y;
    }
  }
  encode_state(args.state, state_row, states, s.data());
}

}  // namespace

void reference_ssd_scan(const SsdScanArgs& args) {
  const int64_t heads = args.state.values.dim[1], width = args.state.values.dim[3];
  const bool per_channel = args.d.data && args.d.dim[0] == heads * width && width != 1;
  std::vector<double> d = reference::parameters(args.d, per_channel ? heads * width : heads, 0.0);
  if (!per_channel) {
    std::vector<double> wide(static_cast<size_t>(heads * width));
    for (int64_t i = 0; i < heads * width; ++i) wide[static_cast<size_t>(i)] = d[static_cast<size_t>(i / width)];
    d = wide;
  }
  std::vector<double> out(static_cast<size_t>(row_count(args.x.values) * heads * width));
  for (const Segment& run : reference::runs_of(args.segments, args.segment_count, args.state_every)) {
    for (int64_t h = 0; h < heads; ++h) scan_head(args, run, h, d, &out);
  }
  encode(out, args.out);
}

}  // namespace quamba2
