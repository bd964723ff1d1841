// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/table.h"

#include <vector>

#include "backends/cpu/levels.h"
#include "base/cpu_features.h"
#include "base/env.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr const char* kVariable = "QUAMBA2_CPU";
// Of all kinds of processors.
constexpr const char* kLevels[] = {"amx",       "avx512vnni",   "avx512", "avx2",
                                   "neon_i8mm", "neon_dotprod", "neon",   "scalar"};

}  // namespace

std::span<const KernelTable* const> cpu_tables() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> all;
    for (const CpuLevel& level : cpu_levels()) all.push_back(level.table);
    return all;
  }();
  return tables;
}

const KernelTable& cpu_table(const std::string& name) {
  std::string possible;
  for (const KernelTable* table : cpu_tables()) {
    if (name == table->name) return *table;
    possible += (possible.empty() ? "" : ", ") + std::string(table->name);
  }
  bool known = false;
  for (const char* level : kLevels) known |= name == level;
  throw Error(ErrorCode::kUsage, "cannot use the instruction-set level \"" + name + "\"", "",
              known ? "this processor (" + cpu_features().name + ") lacks it" : "there is no such level",
              "possible here: " + possible);
}

const KernelTable& cpu_table() {
  const std::string forced = environment_variable(kVariable);
  if (forced.empty()) return *cpu_tables().front();
  try {
    return cpu_table(forced);
  } catch (const Error& error) {
    throw error.within(kVariable);
  }
}

}  // namespace quamba2
