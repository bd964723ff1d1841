// SPDX-License-Identifier: Apache-2.0
// Both scans at the shapes of Mamba2 2.7B and 8B and of Mamba 2.8B: one token a sequence, and prompts.
#include <algorithm>

#include "backends/cuda/scan_rows.h"
#include "cuda_kernels/operands.h"

namespace quamba2::cuda_bench {
namespace {

struct SsdShape {
  const char* name;
  int32_t heads, states, groups;
};

// Microseconds of a scan's row, scratch included; one step is short and repeated more often.
template <class Args>
double scan_time(const Kernel<Args>& row, const Args& a, int32_t length) {
  char* scratch = static_cast<char*>(zeros(row.scratch_bytes ? row.scratch_bytes(a, 1) : 1));
  const auto launch = [&](const Stream& stream, int) {
    Stream s = stream;
    s.scratch = scratch;
    row.run(a, s);
  };
  return microseconds(launch, length == 1 ? 40 : 5, 5);
}

void bench_ssd(const Ceilings& c, const SsdShape& shape, DType state, bool codes, int32_t sequences, int32_t length) {
  const int32_t width = 64, tokens = sequences * length;
  SsdScanArgs a;
  a.x = activation(tokens, shape.heads * width, codes), a.dt = activation(tokens, shape.heads, codes);
  a.b = activation(tokens, shape.groups * shape.states, codes),
  a.c = activation(tokens, shape.groups * shape.states, codes);
  a.a_log = parameters(shape.heads, 1.0f), a.d = parameters(shape.heads, 1.0f),
  a.dt_bias = parameters(shape.heads, 1.0f);
  a.groups = shape.groups, a.segments = segments_of(sequences, length), a.segment_count = sequences;
  a.state = state_of(sequences, shape.heads, shape.states, width, state);
  a.out = activation(tokens, shape.heads * width, false);
  const double us = scan_time(cuda_ssd_scan_rows(90).rows[0], a, length);
  const double per_token = shape.heads * width * ((codes ? 1.0 : 4.0) + 4.0);
  const double flops = 2.0 * tokens * shape.heads * width * shape.states * 2;
  const std::string name = std::string("ssd_scan ") + (codes ? "i8 " : "f32 ") + name_of(state);
  print_line({name, shape.name, tokens, us, 2 * state_bytes(a.state) + tokens * per_token, flops}, c);
  release_all();
}

void bench_selective(const Ceilings& c, DType state, bool codes, int32_t sequences, int32_t length) {
  const int32_t channels = 5120, states = 16, tokens = sequences * length;
  SelectiveScanArgs a;
  a.x = activation(tokens, channels, codes), a.dt = activation(tokens, channels, codes);
  a.b = activation(tokens, states, codes), a.c = activation(tokens, states, codes);
  a.a_log = {random_floats(channels * states, DType::kF32, 1.0f), {channels, states}, {states, 1}, DType::kF32, 2};
  a.d = parameters(channels, 1.0f), a.dt_bias = parameters(channels, 1.0f);
  a.segments = segments_of(sequences, length), a.segment_count = sequences;
  Operand wide = state_of(sequences, 1, states, channels, state);
  wide.values = {wide.values.data, {sequences, states, channels}, {states * channels, channels, 1}, state, 3};
  TensorView& s = wide.scales[0];
  if (s.data != nullptr) s = {s.data, {sequences, 1, channels}, {channels, channels, 1}, DType::kF32, 3};
  a.state = wide;
  a.out = activation(tokens, channels, false);
  const double us = scan_time(cuda_selective_scan_rows(90).rows[0], a, length);
  const double per_token = channels * ((codes ? 2.0 : 8.0) + 4.0);
  const std::string name = std::string("selective ") + (codes ? "i8 " : "f32 ") + name_of(state);
  print_line(
      {name, "Mamba 2.8B", tokens, us, 2 * state_bytes(a.state) + tokens * per_token, 4.0 * tokens * channels * states},
      c);
  release_all();
}

}  // namespace

void bench_scans(const Ceilings& c, const std::string& filter) {
  if (!filter.empty() && filter != "scan") return;
  const SsdShape shapes[] = {{"130M", 24, 128, 1}, {"2.7B", 80, 128, 1}, {"8B", 128, 128, 8}};
  for (const SsdShape& shape : shapes) {
    for (const int32_t sequences : {1, 8, 64}) {
      bench_ssd(c, shape, DType::kI8, true, sequences, 1);
      bench_ssd(c, shape, DType::kF16, false, sequences, 1);
    }
    for (const int32_t length : {512, 2048}) {
      bench_ssd(c, shape, DType::kI8, true, 1, length);
      bench_ssd(c, shape, DType::kF16, false, 1, length);
    }
  }
  for (const int32_t sequences : {1, 64}) bench_selective(c, DType::kI8, true, sequences, 1);
  bench_selective(c, DType::kF16, false, 1, 1);
  for (const int32_t length : {512, 2048}) bench_selective(c, DType::kI8, true, 1, length);
}

}  // namespace quamba2::cuda_bench
