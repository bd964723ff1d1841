// SPDX-License-Identifier: Apache-2.0
// Speed of the scans on one thread, beside what bounds it: the peak of fused multiply-adds for long segments, the copy
// speed of memory for a decode step. Run as: scan_bench [level]
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "backends/cpu/ceilings.h"
#include "backends/cpu/table.h"
#include "base/cpu_features.h"
#include "base/memory.h"
#include "base/random.h"

namespace quamba2 {
namespace {

// Processor time of this thread: other work on a shared machine counts little.
double seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The best of several runs, each of at least 20 ms.
template <class Function>
double best_seconds(const Function& function) {
  function();
  double best = 1e9;
  for (int round = 0; round < 7; ++round) {
    const double start = seconds();
    int calls = 0;
    do {
      function();
      ++calls;
    } while (seconds() - start < 0.02);
    best = std::min(best, (seconds() - start) / calls);
  }
  return best;
}

// Read and write in place, as a scan treats its state: GB/s of both together over `bytes`.
double update_gbs(size_t bytes) {
  AlignedBuffer buffer(bytes);
  auto* p = static_cast<float*>(buffer.data());
  const auto n = static_cast<int64_t>(bytes / 4);
  const double s = best_seconds([&] {
    for (int64_t i = 0; i < n; ++i) p[i] = p[i] * 0.5f + 1.0f;
    asm volatile("" : : "r"(p) : "memory");
  });
  return 2 * static_cast<double>(bytes) / s * 1e-9;
}

struct Arena {
  std::vector<AlignedBuffer> buffers;
  Random random{1};
  TensorView floats(const std::vector<int32_t>& dims, double mean, double spread) {
    TensorView v;
    v.rank = static_cast<uint8_t>(dims.size());
    int32_t stride = 1;
    for (size_t i = dims.size(); i-- > 0; stride *= dims[i]) v.dim[i] = dims[i], v.stride[i] = stride;
    buffers.emplace_back(static_cast<size_t>(stride) * 4);
    v.data = buffers.back().data();
    for (int32_t i = 0; i < stride; ++i)
      static_cast<float*>(v.data)[i] = static_cast<float>(mean + spread * random.normal());
    return v;
  }
  Operand operand(const std::vector<int32_t>& dims, double mean, double spread) {
    return {floats(dims, mean, spread), {}, {}};
  }
};

// Seconds of one call. A decode step walks through `slots` states, so that they come from memory.
template <class Args>
double time_row(const Kernel<Args>& row, Args args, std::vector<Segment> segments) {
  AlignedBuffer prepared(row.prepared_bytes ? row.prepared_bytes(args) + 64 : 64);
  if (row.prepare) row.prepare(args, prepared.data(), Stream{});
  args.prepared = prepared.data();
  AlignedBuffer scratch((row.scratch_bytes ? row.scratch_bytes(args, 1) : 0) + 64);
  Stream stream;
  stream.scratch = static_cast<char*>(scratch.data());
  args.segments = segments.data();
  args.segment_count = static_cast<int32_t>(segments.size());
  return best_seconds([&] { row.run(args, stream); });
}

enum class Stored { kF32, kI8, kI8AlongN, kI8Dynamic };

const char* name_of(Stored stored) {
  switch (stored) {
    case Stored::kF32: return "";
    case Stored::kI8: return "i8";
    case Stored::kI8AlongN: return "i8 along N";
    case Stored::kI8Dynamic: return "i8 dynamic";
  }
  return "";
}

// The state; as i8 with a scale a (head, channel), one a number, or dynamic ones.
Operand make_state(Arena& arena, Stored stored, int32_t segments, int32_t heads, int32_t states, int32_t width) {
  Operand o = arena.operand({segments, heads, states, width}, 0, 1);
  if (stored == Stored::kF32) return o;
  o.values.dtype = o.format.storage = DType::kI8;  // the bytes of the floats serve as codes
  o.format.levels = 1;
  o.format.level[0].grain = Grain::kColumn;
  o.format.dynamic = stored == Stored::kI8Dynamic;
  o.scales[0] =
      arena.floats(stored == Stored::kI8         ? std::vector<int32_t>{heads, width}
                   : stored == Stored::kI8AlongN ? std::vector<int32_t>{heads, states, width}
                                                 : std::vector<int32_t>{segments, heads, state_blocks(states), width},
                   0.01, 0);
  return o;
}

void bench_ssd(const KernelTable& table, int32_t heads, int32_t tokens, int32_t segments, double peak,
               Stored stored = Stored::kF32) {
  constexpr int32_t kWidth = 64, kStates = 128;
  Arena arena;
  SsdScanArgs a;
  const int32_t rows = tokens * segments;
  a.x = arena.operand({rows, heads * kWidth}, 0, 1);
  a.dt = arena.operand({rows, heads}, -3, 1);
  a.b = arena.operand({rows, kStates}, 0, 1);
  a.c = arena.operand({rows, kStates}, 0, 1);
  a.a_log = arena.floats({heads}, 1, 0.5);
  a.d = arena.floats({heads}, 1, 0);
  a.state = make_state(arena, stored, segments, heads, kStates, kWidth);
  a.out = arena.operand({rows, heads * kWidth}, 0, 1);
  std::vector<Segment> list;
  for (int32_t i = 0; i < segments; ++i) list.push_back({i * tokens, tokens, i});
  const double s = time_row(table.ssd_scan.rows[0], a, list);
  const double flops = 6.0 * heads * kWidth * kStates * rows,
               bytes = (stored == Stored::kF32 ? 8.0 : 2.0) * heads * kWidth * kStates * segments;
  std::printf(
      "ssd_scan %-10s H=%-3d T=%-5d x %-3d  %9.2f us  %7.1f GFLOP/s useful = %4.0f %% of peak; state %6.1f GB/s",
      name_of(stored), heads, tokens, segments, s * 1e6, flops / s * 1e-9, 100 * flops / s * 1e-9 / peak,
      bytes / s * 1e-9);
  if (tokens == 1)
    std::printf(" of %.1f (update in place, %.1f MB)", update_gbs(static_cast<size_t>(bytes / 2)), bytes / 2e6);
  std::printf("\n");
}

void bench_selective(const KernelTable& table, int32_t tokens, double peak) {
  constexpr int32_t kWidth = 1536, kStates = 16;
  Arena arena;
  SelectiveScanArgs a;
  a.x = arena.operand({tokens, kWidth}, 0, 1);
  a.dt = arena.operand({tokens, kWidth}, -3, 1);
  a.b = arena.operand({tokens, kStates}, 0, 1);
  a.c = arena.operand({tokens, kStates}, 0, 1);
  a.a_log = arena.floats({kWidth, kStates}, 1, 0.5);
  a.d = arena.floats({kWidth}, 1, 0);
  a.dt_bias = arena.floats({kWidth}, 0, 0.1);
  a.state = arena.operand({1, kStates, kWidth}, 0, 1);
  a.out = arena.operand({tokens, kWidth}, 0, 1);
  const double s = time_row(table.selective_scan.rows[0], a, {{0, tokens, 0}});
  // exp: 13 floating operations a lane; with the recurrence 18 instructions, of which the peak does one multiply-add each.
  const double elements = 1.0 * kWidth * kStates * tokens;
  std::printf("selective_scan E=%-4d N=%d T=%-5d %9.2f us  %7.2f G states/s = %4.0f %% of peak at 18 operations each\n",
              kWidth, kStates, tokens, s * 1e6, elements / s * 1e-9, 100 * elements * 18 / s * 1e-9 / (peak / 2));
}

void bench(const KernelTable& table, double peak) {
  std::printf("level %s\n", table.name);
  for (int32_t heads : {16, 80}) {
    for (int32_t tokens : {16, 64, 512, 2048}) bench_ssd(table, heads, tokens, 1, peak);
    for (Stored stored : {Stored::kF32, Stored::kI8, Stored::kI8AlongN, Stored::kI8Dynamic}) {
      for (int32_t segments : {1, 64}) bench_ssd(table, heads, 1, segments, peak, stored);
    }
    bench_ssd(table, heads, 8, 1, peak);
  }
  for (int32_t tokens : {1, 16, 512}) bench_selective(table, tokens, peak);
}

int run(int argc, char** argv) {
  const double peak = measure_fma_peak(1) * 1e-9;
  std::printf("%s, one thread; multiply-add peak %.0f GFLOP/s (measured)\n", cpu_features().name.c_str(), peak);
  for (const KernelTable* table : cpu_tables()) {
    if (argc < 2 || std::string(argv[1]) == table->name) bench(*table, peak);
  }
  return 0;
}

}  // namespace
}  // namespace quamba2

int main(int argc, char** argv) { return quamba2::run(argc, argv); }
