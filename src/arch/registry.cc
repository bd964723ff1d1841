// SPDX-License-Identifier: Apache-2.0
#include "arch/registry.h"

#include <cstring>

#include "arch/mamba1.h"
#include "arch/mamba2.h"

namespace quamba2 {
namespace {

constexpr Family kFamilies[] = {
    {"mamba", "MambaForCausalLM", "Mamba1", emit_mamba1},
    {"mamba2", "Mamba2ForCausalLM", "Mamba2", emit_mamba2},
    {"falcon_mamba", "FalconMambaForCausalLM", nullptr, emit_mamba1},
};

const Family* find_where(const char* Family::* field, const std::string& value) {
  for (const Family& family : kFamilies) {
    if (family.*field && value == family.*field) return &family;
  }
  return nullptr;
}

}  // namespace

const Family* find_family(const std::string& name) { return find_where(&Family::name, name); }
const Family* find_family_by_architecture(const std::string& name) { return find_where(&Family::architecture, name); }
const Family* find_family_by_layer(const std::string& layer) { return find_where(&Family::layer, layer); }

std::string family_list() {
  std::string out;
  for (const Family& family : kFamilies) out += (out.empty() ? "" : ", ") + std::string(family.name);
  return out;
}

}  // namespace quamba2
