// SPDX-License-Identifier: Apache-2.0
// The kernel tables of the CPU, one an instruction-set level.
#pragma once

#include <span>
#include <string>

#include "backend/kernel.h"

namespace quamba2 {

// The levels that this processor can run, best first. Never empty: the last is "scalar".
std::span<const KernelTable* const> cpu_tables();

// A level by name ("scalar"; "avx2", "avx512", "avx512vnni"; "neon", "neon_dotprod", "neon_i8mm"). Throws Error{kUsage} where it is unknown, or not possible here.
const KernelTable& cpu_table(const std::string& name);

// The best level, or the one that the environment variable QUAMBA2_CPU names. Throws as above.
const KernelTable& cpu_table();

}  // namespace quamba2
