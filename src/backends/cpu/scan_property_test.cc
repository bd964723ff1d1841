// SPDX-License-Identifier: Apache-2.0
// Properties of the stateful kernels that need no reference: a batch of sequences gives each one's own bits, a prompt in
// pieces agrees with the whole, a state that is saved and restored goes on with the same bits.
#include <cmath>
#include <cstring>

#include "backends/cpu/table.h"
#include "support/kernel_harness.h"

namespace quamba2::testing {
namespace {

// One run of a stateful op over some segments of its inputs.
template <class Args>
struct Runner {
  const Kernel<Args>* row;
  int threads = 1;

  void operator()(Args args, const std::vector<Segment>& segments) const {
    AlignedBuffer prepared(row->prepared_bytes ? row->prepared_bytes(args) + 64 : 64);
    if (row->prepare) row->prepare(args, prepared.data(), test_stream(1, nullptr));
    args.prepared = prepared.data();
    AlignedBuffer scratch((row->scratch_bytes ? row->scratch_bytes(args, threads) : 0) + 64);
    args.segments = segments.data();
    args.segment_count = static_cast<int32_t>(segments.size());
    row->run(args, test_stream(threads, scratch.data()));
  }
};

// The same problem with views that start at token `begin` (of x-like operands and outputs).
void shift(Operand* operand, int32_t begin, int32_t length) {
  operand->values.data = row_address(operand->values, begin);
  operand->values.dim[0] = length;
}
SelectiveScanArgs slice(SelectiveScanArgs a, int32_t begin, int32_t length) {
  for (Operand* o : {&a.x, &a.dt, &a.b, &a.c, &a.out}) shift(o, begin, length);
  return a;
}
SsdScanArgs slice(SsdScanArgs a, int32_t begin, int32_t length) {
  for (Operand* o : {&a.x, &a.dt, &a.b, &a.c, &a.out}) shift(o, begin, length);
  return a;
}
CausalConv1dArgs slice(CausalConv1dArgs a, int32_t begin, int32_t length) {
  shift(&a.x, begin, length);
  for (int i = 0; i < a.out.count; ++i) shift(&a.out.part[i], begin, length);
  return a;
}

constexpr int32_t kTokens = 150, kSlots = 3;

Spec stored(DType storage) {
  Spec spec;
  spec.storage = storage;
  spec.grain = Grain::kColumn;
  return spec;
}
Spec dynamic_state() {
  Spec spec = stored(DType::kI8);
  spec.dynamic = true;
  return spec;
}
Spec state_along_n() {
  Spec spec = stored(DType::kI8);
  spec.along_states = true;
  return spec;
}

SelectiveScanArgs problem(Workspace& space, const SelectiveScanArgs&, const Spec& state) {
  SelectiveScanArgs a;
  a.x = space.operand({kTokens, 45}, {});
  a.dt = space.operand({kTokens, 45}, {});
  a.b = space.operand({kTokens, 16}, {});
  a.c = space.operand({kTokens, 16}, {});
  a.a_log = space.floats({45, 16}, 0, 1);
  a.d = space.floats({45}, 1, 0.3);
  a.dt_bias = space.floats({45}, -2, 1);
  a.state = space.operand({kSlots, 16, 45}, state);
  a.out = space.output({kTokens, 45}, {});
  return a;
}
SsdScanArgs problem(Workspace& space, const SsdScanArgs&, const Spec& state) {
  SsdScanArgs a;
  a.x = space.operand({kTokens, 4 * 24}, {});
  a.dt = space.operand({kTokens, 4}, {});
  a.b = space.operand({kTokens, 2 * 20}, {});
  a.c = space.operand({kTokens, 2 * 20}, {});
  a.a_log = space.floats({4}, 0, 1);
  a.d = space.floats({4}, 1, 0.3);
  a.dt_bias = space.floats({4}, -2, 1);
  a.groups = 2;
  a.state = space.operand({kSlots, 4, 20, 24}, state);
  a.out = space.output({kTokens, 4 * 24}, {});
  return a;
}
CausalConv1dArgs problem(Workspace& space, const CausalConv1dArgs&, const Spec& state) {
  CausalConv1dArgs a;
  a.x = space.operand({kTokens, 70}, stored(state.storage == DType::kI8 ? DType::kI8 : DType::kF32));
  a.weight = space.operand({70, 4}, {});
  a.state = space.operand_like({kSlots, 3, 70}, stored(a.x.format.storage), a.x);
  a.out.count = 1;
  a.out.begin[1] = 70;
  a.out.part[0] = space.output({kTokens, 70}, {});
  return a;
}

// Bytes of all that an op has written.
template <class Args>
std::vector<unsigned char> written(Args args) {
  std::vector<unsigned char> bits;
  for (const Output& o : outputs_of(args)) {
    for (int64_t r = 0; r < row_count(o.operand->values); ++r) {
      const auto* p = static_cast<const unsigned char*>(row_address(o.operand->values, r));
      bits.insert(bits.end(), p, p + row_length(o.operand->values) * bits_of(o.operand->values.dtype) / 8);
    }
    if (!o.operand->format.dynamic) continue;
    const Operand scales = scales_operand(*o.operand);
    for (int64_t r = 0; r < row_count(scales.values); ++r) {
      const auto* p = static_cast<const unsigned char*>(row_address(scales.values, r));
      bits.insert(bits.end(), p, p + row_length(scales.values) * 4);
    }
  }
  return bits;
}

template <class Args>
class StatefulKernel : public ::testing::Test {
 protected:
  // test(run, args, space) on every row of every level.
  template <class Function>
  void for_rows(const Spec& state, const Function& test) {
    int rows = 0;
    for (const KernelTable* table : cpu_tables()) {
      const KernelRows<Args> list = rows_of(*table, Args{});
      for (int32_t r = 0; r < list.count; ++r, ++rows) {
        SCOPED_TRACE(list.rows[r].name);
        Workspace space(77);
        const Args args = problem(space, Args{}, state);
        space.take_snapshot();
        ASSERT_EQ(list.rows[r].supports(args).refusal, nullptr);
        test(Runner<Args>{&list.rows[r]}, args, space);
      }
    }
    EXPECT_GT(rows, 0);
  }
};
using StatefulOps = ::testing::Types<CausalConv1dArgs, SelectiveScanArgs, SsdScanArgs>;
TYPED_TEST_SUITE(StatefulKernel, StatefulOps);

// Slots in odd order; lengths on both sides of the limits between algorithms.
const std::vector<Segment>& batch() {
  static const std::vector<Segment> segments = {{0, 2, 2}, {2, 70, 0}, {72, 78, 1}};
  return segments;
}

TYPED_TEST(StatefulKernel, BatchGivesEachSequenceItsOwnBits) {
  for (const Spec& state :
       {stored(DType::kF32), stored(DType::kI8), stored(DType::kF16), dynamic_state(), state_along_n()}) {
    this->for_rows(state, [](Runner<TypeParam> run, const TypeParam& args, Workspace& space) {
      run.threads = 2;
      run(args, batch());
      const auto together = written(args);
      space.restore();
      run.threads = 1;
      for (const Segment& s : batch()) run(slice(args, s.begin, s.length), {{0, s.length, s.slot}});
      EXPECT_EQ(together, written(args));
    });
  }
}

TYPED_TEST(StatefulKernel, SavedStateGoesOnWithTheSameBits) {
  for (const Spec& state :
       {stored(DType::kF32), stored(DType::kI8), stored(DType::kF16), dynamic_state(), state_along_n()}) {
    this->for_rows(state, [](const Runner<TypeParam>& run, TypeParam args, Workspace& space) {
      run(slice(args, 0, 64), {{0, 64, 1}});
      run(slice(args, 64, 86), {{0, 86, 1}});
      const auto expected = written(args);
      space.restore();
      run(slice(args, 0, 64), {{0, 64, 1}});
      // Save slot 1, spoil it, restore it.
      const TensorView& v = args.state.values;
      auto* slot = static_cast<char*>(row_address(v, row_count(v) / v.dim[0]));
      const size_t bytes = static_cast<size_t>(v.stride[0]) * static_cast<size_t>(bits_of(v.dtype)) / 8;
      const std::vector<char> saved(slot, slot + bytes);
      std::memset(slot, 0x55, bytes);
      std::memcpy(slot, saved.data(), bytes);
      run(slice(args, 64, 86), {{0, 86, 1}});
      EXPECT_EQ(expected, written(args));
    });
  }
}

// How far a whole prompt and its pieces may differ: each is within its own bound of the exact result.
template <class Args>
void expect_close(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b,
                  const Bounds& bound) {
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < a[i].size(); ++k) {
      ASSERT_LE(std::fabs(a[i][k] - b[i][k]), 2 * (bound[i][k] + kUnit * std::fabs(a[i][k])))
          << "output " << i << " element " << k;
    }
  }
}
template <class Args>
std::vector<std::vector<double>> values_written(Args args) {
  std::vector<std::vector<double>> out;
  for (const Output& o : outputs_of(args)) out.push_back(decode(*o.operand));
  return out;
}

TYPED_TEST(StatefulKernel, PiecesAgreeWithTheWhole) {
  // The bound is that of the whole prompt, from the exact results.
  this->for_rows(stored(DType::kF32), [](const Runner<TypeParam>& run, const TypeParam& args, Workspace& space) {
    const std::vector<Segment> whole = {{0, kTokens, 1}};
    TypeParam exact = args;
    exact.segments = whole.data();
    exact.segment_count = 1;
    run_reference(exact);
    TypeParam initial = exact;
    const std::vector<std::vector<double>> results = values_written(exact);
    space.restore();
    std::vector<std::vector<double>> stores = results;
    std::vector<Output> outputs = outputs_of(exact);
    for (size_t i = 0; i < outputs.size(); ++i) {  // the exact results beside the initial states
      outputs[i].operand->values.data = stores[i].data();
      outputs[i].operand->values.dtype = outputs[i].operand->format.storage = DType::kF64;
    }
    const Bounds bound = bounds(exact, initial);
    run(args, whole);
    const auto at_once = values_written(args);
    for (const std::vector<int32_t>& lengths : {std::vector<int32_t>{1, 149}, {64, 1, 15, 70}, {3, 16, 128, 1, 2}}) {
      space.restore();
      int32_t begin = 0;
      for (int32_t length : lengths) {
        run(slice(args, begin, length), {{0, length, 1}});
        begin += length;
      }
      ASSERT_EQ(begin, kTokens);
      expect_close<TypeParam>(at_once, values_written(args), bound);
    }
  });
}

template <class Args>
void expect_steps_give_the_same_bits() {
  for (const KernelTable* table : cpu_tables()) {
    SCOPED_TRACE(table->name);
    Workspace space(5);
    const Args args = problem(space, Args{}, stored(DType::kF32));
    space.take_snapshot();
    const Runner<Args> run = {&rows_of(*table, args).rows[0]};
    run(args, {{0, kTokens, 1}});
    const auto whole = written(args);
    space.restore();
    for (int32_t t = 0; t < kTokens; ++t) run(slice(args, t, 1), {{0, 1, 1}});
    EXPECT_EQ(whole, written(args));
  }
}

// A state that is rounded every n tokens is that of calls of n tokens each, bit for bit.
template <class Args>
void expect_runs_give_the_same_bits(const Spec& state, int32_t every) {
  std::vector<Kernel<Args>> rows;
  for (const KernelTable* table : cpu_tables()) rows.push_back(rows_of(*table, Args{}).rows[0]);
  rows.push_back({"reference", nullptr, [](const Args& args, const Stream&) { run_reference(args); }});
  for (const Kernel<Args>& row : rows) {
    SCOPED_TRACE(std::string(row.name) + ", every " + std::to_string(every));
    Workspace space(6);
    Args args = problem(space, Args{}, state);
    space.take_snapshot();
    const Runner<Args> run = {&row};
    args.state_every = every;
    run(args, {{0, kTokens, 1}});
    const auto whole = written(args);
    space.restore();
    args.state_every = 0;
    for (int32_t t = 0; t < kTokens; t += every) {
      const int32_t length = std::min(every, kTokens - t);
      run(slice(args, t, length), {{0, length, 1}});
    }
    EXPECT_EQ(whole, written(args));
    space.restore();
    run(args, {{0, kTokens, 1}});
    EXPECT_NE(whole, written(args)) << "rounding more often changed nothing";
  }
}

TEST(StateEvery, RoundsAsCallsOfSoManyTokensDo) {
  for (const Spec& state : {stored(DType::kI8), stored(DType::kF16), dynamic_state(), state_along_n()}) {
    for (int32_t every : {1, 7, 64}) {
      expect_runs_give_the_same_bits<SelectiveScanArgs>(state, every);
      expect_runs_give_the_same_bits<SsdScanArgs>(state, every);
    }
  }
}

TEST(SequentialKernel, StepsGiveTheBitsOfThePrompt) {
  expect_steps_give_the_same_bits<SelectiveScanArgs>();
  expect_steps_give_the_same_bits<CausalConv1dArgs>();
}

}  // namespace
}  // namespace quamba2::testing
