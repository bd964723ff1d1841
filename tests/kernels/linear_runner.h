// SPDX-License-Identifier: Apache-2.0
// One row of `linear` on one problem: its prepared weight, and runs between canaries.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/linear_problem.h"

namespace quamba2::linear_test {

struct Runner {
  const Kernel<LinearArgs>& row;
  Problem& problem;
  AlignedBuffer prepared;

  Runner(const Kernel<LinearArgs>& r, Problem& p, int variant) : row(r), problem(p) {
    problem.args.prepared = nullptr;
    if (!row.prepare) return;
    prepared = AlignedBuffer(row.prepared_bytes(p.args) + 64);
    const size_t bytes = row.prepared_bytes(p.args);
    char* memory = static_cast<char*>(prepared.data());
    std::fill_n(memory + bytes, 64, static_cast<char>(0x5a));
    row.prepare(p.args, prepared.data(), testing::test_stream(variant, nullptr));
    EXPECT_TRUE(std::all_of(memory + bytes, memory + bytes + 64, [](char c) { return c == 0x5a; })) << row.name;
    problem.args.prepared = prepared.data();
  }

  std::vector<uint8_t> run(int variant) {
    problem.poison();
    const int threads = testing::test_stream(variant, nullptr).threads;
    const size_t bytes = row.scratch_bytes ? row.scratch_bytes(problem.args, threads) : 0;
    AlignedBuffer scratch(bytes + 64);
    char* memory = static_cast<char*>(scratch.data());
    std::memset(memory, 0xff, bytes);  // floats: NaN
    std::fill_n(memory + bytes, 64, static_cast<char>(0x5a));
    std::vector<testing::Block> blocks = problem.blocks();
    blocks.push_back({prepared.data(), prepared.size()});
    blocks.push_back({scratch.data(), scratch.size()});
    testing::run_under_test(row, problem.args, variant, blocks, scratch.data());
    EXPECT_TRUE(problem.canaries_intact()) << row.name;
    EXPECT_TRUE(std::all_of(memory + bytes, memory + bytes + 64, [](char c) { return c == 0x5a; })) << row.name;
    return problem.output_bytes();
  }
};

}  // namespace quamba2::linear_test
