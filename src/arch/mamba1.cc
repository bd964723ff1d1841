// SPDX-License-Identifier: Apache-2.0
#include "arch/mamba1.h"

namespace quamba2 {
namespace {

struct Mamba1Weights {
  int32_t a_log, d, conv, conv_bias, dt_proj, dt_bias, x_proj, in_proj, in_bias, out_proj, out_bias;
  int64_t E, N, R;  // inner width, states, rank of dt
};

Mamba1Weights find_weights(GraphBuilder& g, const MixerConfig& config, const std::string& prefix) {
  Mamba1Weights w{};
  w.a_log = g.require_f32(prefix + "A_log", {-1, -1});
  w.E = g.shape_of(w.a_log)[0];
  w.N = agree("d_state", config.d_state, g.shape_of(w.a_log)[1], prefix + "A_log");
  w.d = g.require_f32(prefix + "D", {w.E});
  w.conv = g.require_f32(prefix + "conv1d.weight", {w.E, -1});
  agree("d_conv", config.d_conv, g.shape_of(w.conv)[1], prefix + "conv1d.weight");
  w.conv_bias = g.find_f32(prefix + "conv1d.bias", {w.E});
  w.dt_proj = g.require(prefix + "dt_proj.weight", {w.E, -1});
  w.R = agree("dt_rank", config.dt_rank, g.shape_of(w.dt_proj)[1], prefix + "dt_proj.weight");
  w.dt_bias = g.find_f32(prefix + "dt_proj.bias", {w.E});
  w.x_proj = g.require(prefix + "x_proj.weight", {w.R + 2 * w.N, w.E});
  w.in_proj = g.require(prefix + "in_proj.weight", {2 * w.E, -1});
  w.in_bias = g.find_f32(prefix + "in_proj.bias", {2 * w.E});
  w.out_proj = g.require(prefix + "out_proj.weight", {-1, w.E});
  w.out_bias = g.find_f32(prefix + "out_proj.bias", {g.shape_of(w.out_proj)[0]});
  return w;
}

void label_weights(GraphBuilder& g, const Mamba1Weights& w, bool rotated) {
  const Axis residual{{Space::kResidual, g.shape_of(w.out_proj)[0]}}, channels{{Space::kChannel, w.E}};
  const auto plain = [](int64_t n) { return Axis{{Space::kNone, n}}; };
  const Axis two{{Space::kChannel, w.E}, {Space::kChannel, w.E}};
  g.label(w.in_proj, {two, residual});
  g.label(w.in_bias, {two});
  g.label(w.conv, {channels, plain(g.shape_of(w.conv)[1])});
  g.label(w.x_proj, {plain(w.R + 2 * w.N), channels});
  g.label(w.dt_proj, {channels, plain(w.R)});
  g.label(w.a_log, {channels, plain(w.N)});
  for (int32_t vector : {w.conv_bias, w.d, w.dt_bias}) g.label(vector, {channels});
  g.label(w.out_proj, {residual, {{rotated ? Space::kRotated : Space::kChannel, w.E}}});
  g.label(w.out_bias, {residual});
}

}  // namespace

EdgeId emit_mamba1(GraphBuilder& g, const MixerConfig& config, const std::string& prefix, EdgeId u) {
  const Mamba1Weights w = find_weights(g, config, prefix);
  label_weights(g, w, config.transforms.inner);
  const auto [x_in, z] =
      g.split(g.linear(u, w.in_proj, w.in_bias, "in_proj"), std::array{std::pair{"x_in", w.E}, std::pair{"z", w.E}});
  const EdgeId x = g.causal_conv1d(x_in, w.conv, w.conv_bias, Activation::kSilu, "x");
  const bool normed = config.dtbc_norm_eps != kUnset;
  auto [dt_low, b, c] =
      g.split(g.linear(config.transforms.x_proj_row ? g.convert(x, "x_row") : x, w.x_proj, kNone, "x_proj"),
              std::array{std::pair{normed ? "dt_raw" : "dt_low", w.R}, std::pair{normed ? "b_raw" : "b", w.N},
                         std::pair{normed ? "c_raw" : "c", w.N}});
  if (normed) {
    dt_low = g.rms_norm(dt_low, kNone, config.dtbc_norm_eps, "dt_low");
    b = g.rms_norm(b, kNone, config.dtbc_norm_eps, "b");
    c = g.rms_norm(c, kNone, config.dtbc_norm_eps, "c");
  }
  const EdgeId dt = g.linear(dt_low, w.dt_proj, kNone, "dt");  // its bias enters the softplus
  const EdgeId y = g.selective_scan(x, dt, b, c, w.a_log, w.d, w.dt_bias, "y");
  EdgeId v = g.gate(y, z, "v");
  if (config.transforms.inner) v = g.hadamard(v, false, "rotated");
  return g.linear(v, w.out_proj, w.out_bias, "out_proj");
}

}  // namespace quamba2
