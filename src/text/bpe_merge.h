// SPDX-License-Identifier: Apache-2.0
// The merge loop of BPE on ids.
#pragma once

#include <cstdint>
#include <vector>

namespace quamba2 {

class MergeTable;

// Applies merges to `symbols`, lowest rank first and leftmost among equals, until none applies.
void merge_symbols(const MergeTable& merges, std::vector<int32_t>* symbols);

// The two ways to do it, for tests: quadratic without set-up, and with a heap over a linked list.
void merge_symbols_by_scan(const MergeTable& merges, std::vector<int32_t>* symbols);
void merge_symbols_by_heap(const MergeTable& merges, std::vector<int32_t>* symbols);

}  // namespace quamba2
