// SPDX-License-Identifier: Apache-2.0
// Walks the kernel tables under test (of the CPU: every level that the machine has), every row, every problem. A row that
// supports a problem runs on poisoned outputs and must stay within the derived bound of the reference, give the same bits
// whatever the threads or again, and leave all other memory alone; a refusal is counted by its reason.
//
//   KernelTest<RmsNormArgs> test;
//   for (...) test.check(name, workspace, args, clip);
//   test.finish();  // fails where a row was never exercised
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/kernel_ops.h"
#include "support/tolerance.h"
#include "support/under_test.h"
#include "support/workspace.h"

namespace quamba2::testing {

// One output of a problem: where the kernel writes, and what it should write.
struct Expected {
  Operand operand;
  bool poison;
  std::vector<double> exact, bound;
};

// One kernel on one problem, without its types.
struct Trial {
  std::string what;                        // op, row, problem, seed, variant
  std::function<void(Block scratch)> run;  // of scratch_bytes and canaries
  size_t scratch_bytes = 0;
};

struct RowCount {
  int runs = 0;
  double closest = 0;  // largest error of an f32 element as a share of its bound (with half an ulp of the result)
  std::map<std::string, int> refusals;
};

// Runs and compares; `bits` receives the outputs' bytes. Returns the failure as text, or nothing.
std::string run_trial(const Trial& trial, Workspace& space, const std::vector<Expected>& expected,
                      std::vector<unsigned char>* bits, RowCount* count);

// The element that is worst, if it is outside of its bound. Codes are judged under the scales that the kernel has chosen,
// where it chooses them, and those against the largest exact values.
std::string compare(const Expected& expected, const std::vector<double>& got, RowCount* count);

// The same for the scales that a kernel computes, [T] or one a channel of a state.
std::string compare_scales(const Expected& expected);

void report_rows(const std::string& op, const std::map<std::string, RowCount>& rows);

template <class Args>
class KernelTest {
 public:
  // `clip`: scales of integer outputs as a share of absmax / 127 of the exact result. `in_place`: out lies over an input.
  void check(const std::string& name, uint64_t seed, const std::shared_ptr<Workspace>& space, Args args,
             double clip = 0.9, bool in_place = false) {
    const std::vector<Expected> expected = expect(*space, args, clip, in_place);
    for (const KernelTable* table : under_test().tables) {
      const KernelRows<Args> rows = rows_of(*table, args);
      for (int32_t r = 0; r < rows.count; ++r) {
        RowCount& count = rows_[rows.rows[r].name];
        const Verdict verdict = rows.rows[r].supports(args);
        if (verdict.refusal) {
          ++count.refusals[verdict.refusal];
          continue;
        }
        ++count.runs;
        run_row(rows.rows[r], name + " seed " + std::to_string(seed), *space, args, expected, &count);
      }
    }
  }

  void finish() const { report_rows(op_name(Args{}), rows_); }

 private:
  // Runs the reference with f64 outputs.
  static std::vector<Expected> expect(Workspace& space, Args& args, double clip, bool in_place) {
    Args exact = args;
    std::vector<Output> wide = outputs_of(exact), real = outputs_of(args);
    for (size_t i = 0; i < wide.size(); ++i) {
      const TensorView& v = real[i].operand->values;
      const Operand narrow = *real[i].operand;
      *wide[i].operand = Operand{};
      wide[i].operand->format.storage = DType::kF64;
      wide[i].operand->values = space.view(DType::kF64, std::vector<int32_t>(v.dim, v.dim + v.rank));
      if (real[i].read_first) encode(decode(narrow), *wide[i].operand);
    }
    run_reference(exact);
    const Bounds bound = bounds(exact, args);
    std::vector<Expected> expected;
    for (size_t i = 0; i < wide.size(); ++i) {
      const std::vector<double> values = decode(*wide[i].operand);
      const Format& format = real[i].operand->format;
      if (!real[i].read_first && !in_place && format.levels > 0 && !format.dynamic)
        set_scales(*real[i].operand, values, clip);
      expected.push_back({*real[i].operand, !real[i].read_first && !in_place, values, bound[i]});
    }
    space.take_snapshot();
    return expected;
  }

  static void run_row(const Kernel<Args>& row, const std::string& problem, Workspace& space, Args args,
                      const std::vector<Expected>& expected, RowCount* count) {
    space.restore();
    AlignedBuffer prepared;
    if constexpr (requires { args.prepared; }) {
      if (row.prepare) {
        prepared = AlignedBuffer(row.prepared_bytes(args) + 64);
        row.prepare(args, prepared.data(), test_stream(1, nullptr));
        args.prepared = prepared.data();
      }
    }
    std::vector<unsigned char> first;
    for (int variant = 1; variant <= under_test().variants; ++variant) {
      Trial trial;
      trial.what = std::string(row.name) + ", " + problem + ", variant " + std::to_string(variant);
      trial.run = [&](Block scratch) {
        std::vector<Block> blocks = space.blocks();
        blocks.push_back({prepared.data(), prepared.size()});
        blocks.push_back(scratch);
        run_under_test(row, args, variant, blocks, scratch.data);
      };
      trial.scratch_bytes = row.scratch_bytes ? row.scratch_bytes(args, test_stream(variant, nullptr).threads) : 0;
      std::vector<unsigned char> bits;
      const std::string failure = run_trial(trial, space, expected, &bits, count);
      if (!failure.empty()) ADD_FAILURE() << failure;
      if (variant == 1) first = bits;
      if (bits != first) ADD_FAILURE() << trial.what << ": other bits than of the first";
    }
    space.restore();
  }

  std::map<std::string, RowCount> rows_;
};

}  // namespace quamba2::testing
