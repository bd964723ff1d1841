// SPDX-License-Identifier: Apache-2.0
#include "arch/random_weights.h"

#include <cmath>

#include "base/random.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

struct Shape {
  const char* name;
  int mixer;  // 1 or 2
  int64_t d_model, layers, vocabulary, padded;
  int64_t groups = 1;
  bool tied = true;
};

// Published checkpoints: head dimension 64 and 128 states in Mamba2, 16 states in Mamba, four taps, expansion by two.
constexpr Shape kShapes[] = {
    {"mamba-130m", 1, 768, 24, 50277, 50280},
    {"mamba-370m", 1, 1024, 48, 50277, 50280},
    {"mamba-790m", 1, 1536, 48, 50277, 50280},
    {"mamba-1.4b", 1, 2048, 48, 50277, 50280},
    {"mamba-2.8b", 1, 2560, 64, 50277, 50280},
    {"mamba2-130m", 2, 768, 24, 50277, 50288},
    {"mamba2-370m", 2, 1024, 48, 50277, 50288},
    {"mamba2-780m", 2, 1536, 48, 50277, 50288},
    {"mamba2-1.3b", 2, 2048, 48, 50277, 50288},
    {"mamba2-2.7b", 2, 2560, 64, 50277, 50288},
    {"mamba2-8b", 2, 4096, 56, 256000, 256000, 8, false},
    {"mamba-codestral-7b", 2, 4096, 64, 32768, 32768, 8, false},
};
constexpr int64_t kTaps = 4, kHeadDim = 64, kStates1 = 16, kStates2 = 128;
constexpr double kDtMin = 1e-3, kDtMax = 0.1;

const Shape& find_shape(const std::string& name) {
  std::string known;
  for (const Shape& shape : kShapes) {
    if (name == shape.name) return shape;
    known += (known.empty() ? "" : ", ") + std::string(shape.name);
  }
  throw Error(ErrorCode::kUsage, "unknown model shape '" + name + "'", "", "there is none of that name",
              "known are " + known);
}

// torch.nn.Linear's default: uniform within 1 / sqrt(inputs).
double linear_scale(int64_t inputs) { return 1 / std::sqrt(static_cast<double>(inputs)); }

Json make_config(const Shape& s, int64_t layers) {
  Json ssm;
  ssm.set("layer", s.mixer == 1 ? "Mamba1" : "Mamba2");
  if (s.mixer == 2) {
    ssm.set("d_state", kStates2);
    ssm.set("headdim", kHeadDim);
    ssm.set("ngroups", s.groups);
  }
  Json config;
  config.set("d_model", s.d_model);
  config.set("d_intermediate", 0);
  config.set("n_layer", layers);
  config.set("vocab_size", s.vocabulary);
  config.set("ssm_cfg", ssm);
  config.set("attn_layer_idx", Json::Array{});
  config.set("attn_cfg", Json::Object{});
  config.set("rms_norm", true);
  config.set("residual_in_fp32", true);
  config.set("fused_add_norm", true);
  config.set("pad_vocab_size_multiple", s.mixer == 1 ? 8 : 16);
  config.set("tie_embeddings", s.tied);
  return config;
}

void add_mamba1(const Shape& s, const std::string& prefix, double out_scale, std::vector<RandomTensor>* out) {
  const int64_t d = s.d_model, E = 2 * d, N = kStates1, R = (d + 15) / 16;
  const double conv = linear_scale(kTaps);
  out->push_back({prefix + "A_log", {E, N}, DType::kF32, Draw::kLogCountA});
  out->push_back({prefix + "D", {E}, DType::kF32, Draw::kConstant});
  out->push_back({prefix + "dt_proj.bias", {E}, DType::kF32, Draw::kDtBias});
  out->push_back({prefix + "in_proj.weight", {2 * E, d}, DType::kBF16, Draw::kUniform, linear_scale(d)});
  out->push_back({prefix + "conv1d.weight", {E, 1, kTaps}, DType::kBF16, Draw::kUniform, conv});
  out->push_back({prefix + "conv1d.bias", {E}, DType::kBF16, Draw::kUniform, conv});
  out->push_back({prefix + "x_proj.weight", {R + 2 * N, E}, DType::kBF16, Draw::kUniform, linear_scale(E)});
  out->push_back({prefix + "dt_proj.weight", {E, R}, DType::kBF16, Draw::kUniform, linear_scale(R)});
  out->push_back({prefix + "out_proj.weight", {d, E}, DType::kBF16, Draw::kUniform, out_scale * linear_scale(E)});
}

void add_mamba2(const Shape& s, const std::string& prefix, double out_scale, std::vector<RandomTensor>* out) {
  const int64_t d = s.d_model, E = 2 * d, H = E / kHeadDim, channels = E + 2 * s.groups * kStates2;
  const double conv = linear_scale(kTaps);
  out->push_back({prefix + "A_log", {H}, DType::kF32, Draw::kLogUniformA});
  out->push_back({prefix + "D", {H}, DType::kF32, Draw::kConstant});
  out->push_back({prefix + "dt_bias", {H}, DType::kF32, Draw::kDtBias});
  out->push_back({prefix + "in_proj.weight", {E + channels + H, d}, DType::kBF16, Draw::kUniform, linear_scale(d)});
  out->push_back({prefix + "conv1d.weight", {channels, 1, kTaps}, DType::kBF16, Draw::kUniform, conv});
  out->push_back({prefix + "conv1d.bias", {channels}, DType::kBF16, Draw::kUniform, conv});
  out->push_back({prefix + "norm.weight", {E}, DType::kBF16, Draw::kConstant});
  out->push_back({prefix + "out_proj.weight", {d, E}, DType::kBF16, Draw::kUniform, out_scale * linear_scale(E)});
}

double draw_one(const RandomTensor& t, double first, double second, int64_t column) {
  switch (t.draw) {
    case Draw::kConstant: return t.scale;
    case Draw::kNormal: return t.scale * std::sqrt(-2 * std::log(1 - first)) * std::cos(6.283185307179586 * second);
    case Draw::kUniform: return t.scale * (2 * first - 1);
    case Draw::kDtBias: {
      const double dt = kDtMin * std::pow(kDtMax / kDtMin, first);
      return dt + std::log(-std::expm1(-dt));
    }
    case Draw::kLogUniformA: return std::log(1 + 15 * first);
    case Draw::kLogCountA: return std::log(static_cast<double>(column + 1));
  }
  return 0;
}

}  // namespace

int64_t RandomTensor::elements() const {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

std::vector<std::string> random_model_names() {
  std::vector<std::string> out;
  for (const Shape& shape : kShapes) out.emplace_back(shape.name);
  return out;
}

RandomModel random_model(const std::string& name, int64_t layers) {
  const Shape& s = find_shape(name);
  if (layers < 0 || layers > s.layers) {
    throw Error(ErrorCode::kUsage, "layers out of range", std::to_string(layers),
                name + " has " + std::to_string(s.layers), "ask for fewer");
  }
  if (layers == 0) layers = s.layers;
  RandomModel out;
  out.config = make_config(s, layers);
  // Deep residual sums: the last matrix of a layer is scaled by 1 / sqrt(layers).
  const double out_scale = 1 / std::sqrt(static_cast<double>(layers));
  out.tensors.push_back({"backbone.embedding.weight", {s.padded, s.d_model}, DType::kBF16, Draw::kNormal, 0.02});
  for (int64_t l = 0; l < layers; ++l) {
    const std::string prefix = "backbone.layers." + std::to_string(l) + ".";
    out.tensors.push_back({prefix + "norm.weight", {s.d_model}});
    (s.mixer == 1 ? add_mamba1 : add_mamba2)(s, prefix + "mixer.", out_scale, &out.tensors);
  }
  out.tensors.push_back({"backbone.norm_f.weight", {s.d_model}});
  if (!s.tied) {
    out.tensors.push_back(
        {"lm_head.weight", {s.padded, s.d_model}, DType::kBF16, Draw::kUniform, linear_scale(s.d_model)});
  }
  return out;
}

void draw_elements(const RandomTensor& tensor, uint64_t seed, uint64_t index, int64_t first, std::span<float> out) {
  const uint64_t stream = Random(seed, index).next();
  const int64_t columns = tensor.shape.back();
  Random random(stream, 2 * static_cast<uint64_t>(first));  // two numbers an element
  for (size_t i = 0; i < out.size(); ++i) {
    const double a = random.uniform(), b = random.uniform();
    out[i] = static_cast<float>(draw_one(tensor, a, b, (first + static_cast<int64_t>(i)) % columns));
  }
}

}  // namespace quamba2
