// SPDX-License-Identifier: Apache-2.0
#include "arch/mamba2.h"

#include "quamba2/error.h"

namespace quamba2 {
namespace {

struct Mamba2Weights {
  int32_t a_log, d, dt_bias, conv, conv_bias, in_proj, in_bias, norm, out_proj, out_bias;
  int64_t E, H, P, G, N,
      M;  // recurrent width, heads, head channels, groups, states, plain gated channels beside (d_mlp)
};

int64_t exact(int64_t a, int64_t b, const std::string& what, const std::string& tensor) {
  if (b <= 0 || a < 0 || a % b != 0) {
    throw Error(ErrorCode::kModelFile, "config and weights disagree", tensor,
                what + " would be " + std::to_string(a) + " / " + std::to_string(b), "repair config.json");
  }
  return a / b;
}

void find_sizes(GraphBuilder& g, const MixerConfig& config, const std::string& prefix, Mamba2Weights* w) {
  w->H = agree("nheads", config.heads, g.shape_of(w->a_log)[0], prefix + "A_log");
  const int64_t inner = g.shape_of(w->out_proj)[1];
  // The width of the recurrence is the gated norm's, or stated, or follows from the heads.
  if (w->norm != kNone) {
    w->E = agree("d_ssm", config.d_ssm, g.shape_of(w->norm)[0], prefix + "norm.weight");
  } else {
    w->E = config.d_ssm != kUnset ? config.d_ssm : w->H * config.head_dim;
  }
  w->P = agree("headdim", config.head_dim, exact(w->E, w->H, "headdim", prefix + "A_log"), prefix + "A_log");
  w->M = inner - w->E;
  if (w->M < 0) agree("d_ssm", w->E, inner, prefix + "out_proj.weight");
  w->G = config.groups;
  w->N = exact(g.shape_of(w->conv)[0] - w->E, 2 * w->G, "d_state", prefix + "conv1d.weight");
  agree("d_state", config.d_state, w->N, prefix + "conv1d.weight");
  agree("d_conv", config.d_conv, g.shape_of(w->conv)[1], prefix + "conv1d.weight");
  exact(w->H, w->G, "heads a group", prefix + "A_log");
}

Mamba2Weights find_weights(GraphBuilder& g, const MixerConfig& config, const std::string& prefix) {
  Mamba2Weights w{};
  w.a_log = g.require_f32(prefix + "A_log", {-1});
  w.conv = g.require_f32(prefix + "conv1d.weight", {-1, -1});
  w.out_proj = g.require(prefix + "out_proj.weight", {-1, -1});
  w.norm = config.rmsnorm ? g.require_f32(prefix + "norm.weight", {-1}) : kNone;
  find_sizes(g, config, prefix, &w);
  const int64_t rows = 2 * w.M + 2 * w.E + 2 * w.G * w.N + w.H;
  w.in_proj = g.require(prefix + "in_proj.weight", {rows, -1});
  w.in_bias = g.find_f32(prefix + "in_proj.bias", {rows});
  w.out_bias = g.find_f32(prefix + "out_proj.bias", {g.shape_of(w.out_proj)[0]});
  w.conv_bias = g.find_f32(prefix + "conv1d.bias", {w.E + 2 * w.G * w.N});
  w.dt_bias = g.require_f32(prefix + "dt_bias", {w.H});
  w.d = g.require_f32(prefix + "D", {-1});
  const int64_t skips = g.shape_of(w.d)[0];
  if (skips != w.H) agree("D", w.E, skips, prefix + "D");
  return w;
}

void label_weights(GraphBuilder& g, const Mamba2Weights& w, bool rotated) {
  const auto plain = [](int64_t n) { return Axis{{Space::kNone, n}}; };
  const Axis residual{{Space::kResidual, g.shape_of(w.out_proj)[0]}}, channels{{Space::kChannel, w.E}};
  const Axis heads{{Space::kHead, w.H}};
  const AxisRun beside{Space::kPlain, w.M}, states{Space::kGroupState, w.G * w.N};
  const Axis rows{beside, beside, channels[0], channels[0], states, states, heads[0]};
  const Axis conv{channels[0], states, states};
  g.label(w.in_proj, {rows, residual});
  g.label(w.in_bias, {rows});
  g.label(w.conv, {conv, plain(g.shape_of(w.conv)[1])});
  g.label(w.conv_bias, {conv});
  g.label(w.a_log, {heads});
  g.label(w.dt_bias, {heads});
  g.label(w.d, {g.shape_of(w.d)[0] == w.H ? heads : channels});
  g.label(w.norm, {channels});
  g.label(w.out_proj, {residual, rotated ? Axis{{Space::kRotated, w.M + w.E}} : Axis{beside, channels[0]}});
  g.label(w.out_bias, {residual});
}

}  // namespace

EdgeId emit_mamba2(GraphBuilder& g, const MixerConfig& config, const std::string& prefix, EdgeId u) {
  const Mamba2Weights w = find_weights(g, config, prefix);
  label_weights(g, w, config.transforms.inner);
  const auto [z0, x0, z, xbc, dt] = g.split(g.linear(u, w.in_proj, w.in_bias, "in_proj"),
                                            std::array{std::pair{"z0", w.M}, std::pair{"x0", w.M}, std::pair{"z", w.E},
                                                       std::pair{"xbc", w.E + 2 * w.G * w.N}, std::pair{"dt", w.H}});
  const auto [x, b, c] = g.split(g.causal_conv1d(xbc, w.conv, w.conv_bias, Activation::kSilu, "conv"),
                                 std::array{std::pair{"x", w.E}, std::pair{"b", w.G * w.N}, std::pair{"c", w.G * w.N}});
  const std::vector<int32_t> state{static_cast<int32_t>(w.H), static_cast<int32_t>(w.N), static_cast<int32_t>(w.P)};
  const auto groups = static_cast<int32_t>(w.G);
  const EdgeId y = g.ssd_scan(x, dt, b, c, w.a_log, w.d, w.dt_bias, state, {groups, config.dt_min, config.dt_max}, "y");
  const EdgeId gated =
      w.norm == kNone ? g.gate(y, z, "gated")
                      : g.gated_rms_norm(y, z, w.norm, {config.norm_eps, groups, config.norm_before_gate}, "gated");
  // Where the recurrence covers part of the inner width, the rest is a plain gated product beside it.
  EdgeId v = w.M == 0 ? gated : g.concat({g.gate(x0, z0, "gated0"), gated}, "v");
  if (config.transforms.inner) v = g.hadamard(v, false, "rotated");
  return g.linear(v, w.out_proj, w.out_bias, "out_proj");
}

}  // namespace quamba2
