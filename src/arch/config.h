// SPDX-License-Identifier: Apache-2.0
// config.json in its many forms, brought into one: state-spaces (`ssm_cfg`) and Hugging Face (`model_type`).
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "graph/model.h"

namespace quamba2 {

constexpr int64_t kUnset = -1;  // not in the config: the tensors say

// The mixer's fields under the state-spaces names (method.md 1.1).
struct MixerConfig {
  int64_t d_state = kUnset, d_conv = kUnset, dt_rank = kUnset;
  int64_t head_dim = kUnset, heads = kUnset, d_ssm = kUnset, groups = 1;
  bool rmsnorm = true, norm_before_gate = false;
  double dt_min = 0, dt_max = 0;  // dt_limit; dt_max may be infinite
  double norm_eps = 1e-5;         // of the gated norm
  double dtbc_norm_eps = kUnset;  // Falcon-Mamba's parameter-free norms of dt, B and C; kUnset: none
  Transforms transforms;          // of the quantizer, no part of config.json's own fields
};

struct ModelConfig {
  std::string family;  // "mamba", "mamba2", "falcon_mamba"
  int64_t d_model = kUnset, n_layer = kUnset, vocab_size = kUnset;
  double norm_eps = 1e-5;
  bool rms_norm = true;  // else LayerNorm
  bool tied = true;      // as the config says; the tensors have the last word
  MixerConfig mixer;
};

// Throws Error{kModelFile} naming the field for unknown families (with the list of known ones), models with attention
// or MLP layers, and values out of range.
ModelConfig parse_config(const Json& config, const std::string& where);

// `value` from the tensors against `stated` from the config: equal or not stated, else Error{kModelFile} naming both.
int64_t agree(const std::string& field, int64_t stated, int64_t value, const std::string& tensor);

}  // namespace quamba2
