// SPDX-License-Identifier: Apache-2.0
#include "quant/roles.h"

namespace quamba2 {
namespace {

// What follows "<marker><digits>." in `name`, or `name` itself.
std::string after_layer(const std::string& name, const std::string& marker) {
  if (name.rfind(marker, 0) != 0) return name;
  const size_t dot = name.find('.', marker.size());
  return dot == name.npos ? name : name.substr(dot + 1);
}

}  // namespace

std::string weight_role(const std::string& name) {
  if (name == "backbone.embedding.weight" || name == "backbone.embeddings.weight") return "embedding.weight";
  std::string role = after_layer(name, "backbone.layers.");
  if (role.rfind("mixer.", 0) == 0) role = role.substr(6);
  return role;
}

std::string bias_name(const std::string& weight) { return weight.substr(0, weight.rfind(".weight")) + ".bias"; }

std::string edge_role(const std::string& name) { return after_layer(name, "layers."); }

}  // namespace quamba2
