// SPDX-License-Identifier: Apache-2.0
#include "arch/config.h"

#include <limits>

#include "arch/registry.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr int64_t kMaxWidth = 1 << 20;

[[noreturn]] void refuse(const std::string& what, const std::string& where, const std::string& why,
                         const std::string& hint) {
  throw Error(ErrorCode::kModelFile, what, where, why, hint);
}

int64_t bounded(const Json& config, const char* key, int64_t fallback, int64_t limit, const std::string& where) {
  const int64_t value = config.get(key, fallback);
  if (value != kUnset && (value < 1 || value > limit)) {
    refuse("value out of range", where,
           std::string(key) + " is " + std::to_string(value) + ", 1 to " + std::to_string(limit) + " is possible",
           "repair config.json");
  }
  return value;
}

void read_time_step_limit(const Json* limit, MixerConfig* mixer, const std::string& where) {
  mixer->dt_min = 0;
  mixer->dt_max = std::numeric_limits<double>::infinity();
  if (!limit) return;
  const Json::Array& pair = limit->as_array("time_step_limit");
  if (pair.size() != 2) refuse("value out of range", where, "the time step limit is not a pair", "repair config.json");
  mixer->dt_min = pair[0].as_double("time_step_limit");
  mixer->dt_max = pair[1].as_double("time_step_limit");
  if (!(mixer->dt_min >= 0 && mixer->dt_min <= mixer->dt_max)) {
    refuse("value out of range", where, "the time step limits are not ordered", "repair config.json");
  }
}

ModelConfig parse_state_spaces(const Json& config, const std::string& where) {
  ModelConfig out;
  const Json empty = Json(Json::Object{});
  const Json* ssm = config.find("ssm_cfg");
  if (!ssm) ssm = &empty;
  const std::string layer = ssm->get("layer", "Mamba1");
  const Family* family = find_family_by_layer(layer);
  if (!family) refuse("unsupported model", where, "ssm_cfg.layer is " + layer, "supported: " + family_list());
  out.family = family->name;
  out.d_model = bounded(config, "d_model", kUnset, kMaxWidth, where);
  out.n_layer = bounded(config, "n_layer", kUnset, 10000, where);
  out.vocab_size = bounded(config, "vocab_size", 50277, 1 << 26, where);
  out.rms_norm = config.get("rms_norm", true);
  out.tied = config.get("tie_embeddings", true);
  const Json* attention = config.find("attn_layer_idx");
  if (config.get("d_intermediate", 0) != 0 || (attention && !attention->as_array("attn_layer_idx").empty())) {
    refuse("unsupported model", where, "it has attention or MLP layers", "only pure Mamba models are supported so far");
  }
  MixerConfig& m = out.mixer;
  m.d_state = bounded(*ssm, "d_state", kUnset, 65536, where);
  m.d_conv = bounded(*ssm, "d_conv", kUnset, 64, where);
  m.head_dim = bounded(*ssm, "headdim", out.family == "mamba2" ? 64 : kUnset, 65536, where);
  m.groups = bounded(*ssm, "ngroups", 1, 65536, where);
  m.d_ssm = bounded(*ssm, "d_ssm", kUnset, kMaxWidth, where);
  m.rmsnorm = ssm->get("rmsnorm", true);
  m.norm_before_gate = ssm->get("norm_before_gate", false);
  const Json* rank = ssm->find("dt_rank");
  if (rank && rank->is_int()) m.dt_rank = rank->as_int("dt_rank");
  read_time_step_limit(ssm->find("dt_limit"), &m, where);
  return out;
}

ModelConfig parse_hugging_face(const Json& config, const Family& family, const std::string& where) {
  ModelConfig out;
  out.family = family.name;
  const bool mamba2 = out.family == "mamba2";
  out.d_model = bounded(config, "hidden_size", kUnset, kMaxWidth, where);
  out.n_layer = bounded(config, "num_hidden_layers", kUnset, 10000, where);
  out.vocab_size = bounded(config, "vocab_size", kUnset, 1 << 26, where);
  out.norm_eps = config.get("layer_norm_epsilon", 1e-5);
  out.tied = config.get("tie_word_embeddings", out.family == "mamba");
  const std::string act = config.get("hidden_act", "silu");
  if (act != "silu" && act != "swish")
    refuse("unsupported model", where, "hidden_act is " + act, "only silu is supported");
  MixerConfig& m = out.mixer;
  m.d_state = bounded(config, "state_size", kUnset, 65536, where);
  m.d_conv = bounded(config, "conv_kernel", kUnset, 64, where);
  m.heads = bounded(config, "num_heads", kUnset, kMaxWidth, where);
  m.head_dim = bounded(config, "head_dim", mamba2 ? 64 : kUnset, 65536, where);
  m.groups = bounded(config, "n_groups", mamba2 ? 8 : 1, 65536, where);
  m.rmsnorm = config.get("rms_norm", true);
  m.norm_before_gate = config.get("norm_before_gate", false);
  m.norm_eps = out.norm_eps;
  if (out.family == "falcon_mamba") m.dtbc_norm_eps = config.get("mixer_rms_eps", 1e-6);
  const Json* rank = config.find("time_step_rank");
  if (!mamba2 && rank && rank->is_int()) m.dt_rank = rank->as_int("time_step_rank");
  read_time_step_limit(config.find("time_step_limit"), &m, where);
  return out;
}

}  // namespace

ModelConfig parse_config(const Json& config, const std::string& where) {
  const Json* type = config.find("model_type");
  if (!type && !config.find("hidden_size")) {
    if (!config.find("d_model")) {
      refuse("unsupported model", where, "it has neither model_type nor d_model", "supported: " + family_list());
    }
    return parse_state_spaces(config, where);
  }
  std::string name = type ? type->as_string("model_type") : "";
  const Family* family = find_family(name);
  const Json* architectures = config.find("architectures");
  if (!family && !type && architectures && !architectures->as_array("architectures").empty()) {
    name = architectures->as_array("architectures")[0].as_string("architectures");
    family = find_family_by_architecture(name);
  }
  if (!family) refuse("unsupported model", where, "its model_type is \"" + name + "\"", "supported: " + family_list());
  return parse_hugging_face(config, *family, where);
}

int64_t agree(const std::string& field, int64_t stated, int64_t value, const std::string& tensor) {
  if (stated != kUnset && stated != value) {
    refuse("config and weights disagree", field,
           "config.json says " + std::to_string(stated) + ", " + tensor + " says " + std::to_string(value),
           "repair config.json or fetch the weights that belong to it");
  }
  return value;
}

}  // namespace quamba2
