// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/table.h"

#include "backends/cpu/isa/tables.h"
#include "base/cpu_features.h"
#include "base/env.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr const char* kVariable = "QUAMBA2_CPU";
constexpr const char* kLevels[] = {"avx512vnni", "avx512", "avx2", "scalar"};

struct Levels {
  const KernelTable* table[4];
  size_t count = 0;
};

Levels find_levels() {
  Levels levels{};
#if defined(__x86_64__)
  const CpuFeatures& f = cpu_features();
  if (f.avx512_vnni) levels.table[levels.count++] = &kCpuAvx512VnniTable;
  if (f.avx512) levels.table[levels.count++] = &kCpuAvx512Table;
  if (f.avx2) levels.table[levels.count++] = &kCpuAvx2Table;
#endif
  levels.table[levels.count++] = &kCpuScalarTable;
  return levels;
}

}  // namespace

std::span<const KernelTable* const> cpu_tables() {
  static const Levels levels = find_levels();
  return {levels.table, levels.count};
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
