// SPDX-License-Identifier: Apache-2.0
// Names of tensors in the artefact. Those of weights are compressed-tensors' own.
#pragma once

#include <string>

namespace quamba2 {

constexpr int kArtifactVersion = 1;
constexpr const char* kScalePrefix = "quamba2.scales.";

inline std::string packed_name(const std::string& weight) { return weight + "_packed"; }
inline std::string shape_name(const std::string& weight) { return weight + "_shape"; }
inline std::string scale_name(const std::string& weight) { return weight + "_scale"; }
inline std::string channel_scale_name(const std::string& weight) { return weight + "_channel_scale"; }
inline std::string encoding_scale_name(const std::string& edge_or_state) { return kScalePrefix + edge_or_state; }

// True for tensors that stand beside a weight and are no weight themselves.
inline bool is_companion(const std::string& name) {
  for (const std::string suffix : {".weight_packed", ".weight_shape", ".weight_scale", ".weight_channel_scale"}) {
    if (name.size() > suffix.size() && name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0)
      return true;
  }
  return name.rfind(kScalePrefix, 0) == 0;
}

}  // namespace quamba2
