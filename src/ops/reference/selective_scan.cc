// SPDX-License-Identifier: Apache-2.0
#include "ops/selective_scan.h"

#include "ops/reference/math.h"

namespace quamba2 {

void reference_selective_scan(const SelectiveScanArgs& args) {
  const int64_t width = args.a_log.dim[0], states = args.a_log.dim[1];
  const std::vector<double> a_log = reference::parameters(args.a_log, width * states, 0.0);
  const std::vector<double> d = reference::parameters(args.d, width, 0.0);
  const std::vector<double> dt_bias = reference::parameters(args.dt_bias, width, 0.0);
  std::vector<double> out(static_cast<size_t>(row_count(args.x.values) * width));
  for (const Segment& seg : reference::runs_of(args.segments, args.segment_count, args.state_every)) {
    std::vector<double> s(static_cast<size_t>(states * width));
    for (int64_t i = 0; i < states * width; ++i)
      s[static_cast<size_t>(i)] = decode_element(args.state, seg.slot * states + i / width, i % width);
    for (int64_t e = 0; e < width; ++e) {
      for (int64_t t = seg.begin; t < seg.begin + seg.length; ++t) {
        const double x = decode_element(args.x, t, e);
        const double delta = reference::softplus(decode_element(args.dt, t, e) + dt_bias[static_cast<size_t>(e)]);
        double y = d[static_cast<size_t>(e)] * x;
        for (int64_t n = 0; n < states; ++n) {
          const double a = -std::exp(a_log[static_cast<size_t>(e * states + n)]);
          double& state = s[static_cast<size_t>(n * width + e)];
          state = std::exp(delta * a) * state + delta * decode_element(args.b, t, n) * x;
          y += decode_element(args.c, t, n) * state;
        }
        out[static_cast<size_t>(t * width + e)] = y;
      }
    }
    encode_state(args.state, seg.slot * states, states, s.data());
  }
  encode(out, args.out);
}

}  // namespace quamba2
