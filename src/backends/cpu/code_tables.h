// SPDX-License-Identifier: Apache-2.0
// The INT8 values that the sixteen codes of a group of two-level INT4 weights decode to. A group's table depends on the
// ratio of its two scales alone, and of ratios only a few hundred tell apart tables: every table is kept once for the
// process, and a group names its own by 16 bits.
#pragma once

#include <cstdint>

namespace quamba2 {

// table[c] is the value of code c - 8. Table 0 is all zeros. From any thread. Throws Error{kResource} beyond 65,536 of them.
uint16_t code_table_id(const int8_t (&table)[16]);

// Table i is at 16 * i. The address never changes.
const int8_t* code_tables();

}  // namespace quamba2
