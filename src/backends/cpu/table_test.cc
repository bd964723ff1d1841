// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/table.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

TEST(CpuTable, LevelsEndWithScalar) {
  ASSERT_FALSE(cpu_tables().empty());
  EXPECT_STREQ(cpu_tables().back()->name, "scalar");
  std::string names;
  for (const KernelTable* table : cpu_tables()) {
    EXPECT_EQ(&cpu_table(table->name), table);
    names += (names.empty() ? "" : ", ") + std::string(table->name);
  }
  std::printf("[  levels  ] %s\n", names.c_str());  // tools/run_arm64 expects those of the processor
}

TEST(CpuTable, EnvironmentNamesEachLevel) {
  for (const KernelTable* table : cpu_tables()) {
    setenv("QUAMBA2_CPU", table->name, 1);
    EXPECT_EQ(&cpu_table(), table);
  }
  unsetenv("QUAMBA2_CPU");
}

TEST(CpuTable, LevelsOfOtherProcessorsAreKnownButRefused) {
  const bool arm = std::string(cpu_tables().front()->name).starts_with("neon");
  try {
    cpu_table(arm ? "avx2" : "neon");
    FAIL() << "a level of another processor was accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("lacks it"), std::string::npos) << error.what();
  }
}

TEST(CpuTable, EnvironmentOverrides) {
  setenv("QUAMBA2_CPU", "scalar", 1);
  EXPECT_STREQ(cpu_table().name, "scalar");
  setenv("QUAMBA2_CPU", "sse9", 1);
  try {
    cpu_table();
    FAIL() << "an unknown level was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("QUAMBA2_CPU"), std::string::npos);
  }
  unsetenv("QUAMBA2_CPU");
  EXPECT_EQ(&cpu_table(), cpu_tables().front());
}

}  // namespace
}  // namespace quamba2
