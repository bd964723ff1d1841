// SPDX-License-Identifier: Apache-2.0
#include "ops/causal_conv1d.h"

#include "ops/reference/math.h"

namespace quamba2 {

void reference_causal_conv1d(const CausalConv1dArgs& args) {
  const int64_t channels = args.weight.values.dim[0], taps = args.weight.values.dim[1], history = taps - 1;
  const std::vector<double> w = decode(args.weight), bias = reference::parameters(args.bias, channels, 0.0);
  std::vector<double> y(static_cast<size_t>(row_count(args.x.values) * channels));
  for (int32_t i = 0; i < args.segment_count; ++i) {
    const Segment& s = args.segments[i];
    for (int64_t c = 0; c < channels; ++c) {
      // The history followed by the segment's inputs.
      std::vector<double> x;
      for (int64_t k = 0; k < history; ++k) x.push_back(decode_element(args.state, s.slot * history + k, c));
      for (int64_t t = 0; t < s.length; ++t) x.push_back(decode_element(args.x, s.begin + t, c));
      for (int64_t t = 0; t < s.length; ++t) {
        double sum = bias[static_cast<size_t>(c)];
        for (int64_t k = 0; k < taps; ++k) sum += w[static_cast<size_t>(c * taps + k)] * x[static_cast<size_t>(t + k)];
        y[static_cast<size_t>((s.begin + t) * channels + c)] =
            args.activation == Activation::kSilu ? reference::silu(sum) : sum;
      }
      for (int64_t k = 0; k < history; ++k) {
        encode_element(args.state, s.slot * history + k, c, x[static_cast<size_t>(s.length + k)]);
      }
    }
  }
  reference::write_parts(args.out, y);
}

}  // namespace quamba2
