// SPDX-License-Identifier: Apache-2.0
// Speeds of linear kernels as fractions of ceilings measured in the same run: one token against reading a buffer of the
// same size, many tokens against the arithmetic peak.
//   linear_bench [filter of row names] [threads] [K N]...
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "backends/cpu/ceilings.h"
#include "backends/cpu/table.h"
#include "base/cpu_features.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace quamba2 {
namespace {

constexpr int32_t kTokens = 512;

struct Case {
  const char* name;
  DType weight;
  int group;  // 0: a scale a row, for integers
  bool integer_activations;
  bool two_levels = false;
};
constexpr Case kCases[] = {{"linear_w8a8", DType::kI8, 0, true},     {"linear_w4a8", DType::kI4, 64, true, true},
                           {"linear_w4a16", DType::kI4, 64, false},  {"linear_w6a8", DType::kI6, 64, true},
                           {"linear_w6a16", DType::kI6, 128, false}, {"linear_w8a16", DType::kI8, 0, false},
                           {"linear_bf16", DType::kBF16, 0, false},  {"linear_f32", DType::kF32, 0, false}};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void fill(const Tensor& tensor, uint64_t seed) {
  Random random(seed);
  for (size_t i = 0; i + 8 <= tensor.bytes(); i += 8) {
    uint64_t bits = random.next();
    // Ordinary values: exponents near zero for both 16-bit and 32-bit floats.
    if (is_float(tensor.dtype())) bits = (bits & 0x807f807f807f807full) | 0x3f003f003f003f00ull;
    std::memcpy(static_cast<char*>(tensor.data()) + i, &bits, 8);
  }
}

struct Bench {
  Tensor x, x_scale, weight, weight_scale, row_scale, out;
  LinearArgs args;

  Bench(const Case& c, int32_t inner, int32_t outputs)
      : x(c.integer_activations ? DType::kI8 : DType::kF32, {kTokens, inner}),
        x_scale(Tensor::from({1}, {0.01f})),
        weight(c.weight, {outputs, inner}),
        weight_scale(DType::kF16, {outputs, c.group ? (inner + c.group - 1) / c.group : 1}),
        row_scale(Tensor::from({outputs}, std::vector<float>(static_cast<size_t>(outputs), 0.1f))),
        out(DType::kF32, {kTokens, outputs}) {
    fill(x, 1);
    fill(weight, 2);
    fill(weight_scale, 3);
    args.x.values = x.view();
    args.x.format.storage = x.dtype();
    if (c.integer_activations) {
      args.x.format.levels = 1;
      args.x.scales[0] = x_scale.view();
    }
    args.weight.values = weight.view();
    args.weight.format.storage = c.weight;
    if (!is_float(c.weight)) {
      args.weight.format.levels = 1;
      args.weight.format.level[0] = {c.group ? Grain::kGroup : Grain::kRow, static_cast<int16_t>(c.group), DType::kF16};
      args.weight.scales[0] = weight_scale.view();
      if (c.two_levels) {
        args.weight.format.levels = 2;
        args.weight.format.level[1] = {Grain::kRow, 0, DType::kF32};
        args.weight.scales[1] = row_scale.view();
      }
    }
    args.out.part[0].values = out.view();
    args.out.begin[1] = outputs;
    args.out.count = 1;
  }
};

Stream stream_of(ThreadPool& pool, void* scratch) {
  Stream s;
  s.parallel = [](void* p, void (*task)(void*, int), void* context) {
    static_cast<ThreadPool*>(p)->run(task, context);
  };
  s.pool = &pool;
  s.threads = pool.threads();
  s.scratch = static_cast<char*>(scratch);
  return s;
}

// One thread is timed by its processor time, which other processes disturb less.
double clock_of(const ThreadPool& pool) {
  if (pool.threads() > 1) return seconds();
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double best_time(const Kernel<LinearArgs>& row, LinearArgs args, int32_t tokens, ThreadPool& pool) {
  AlignedBuffer scratch(row.scratch_bytes(args, pool.threads()));
  args.x.values.dim[0] = args.out.part[0].values.dim[0] = tokens;
  double best = 1e9;
  const double end = seconds() + 0.3;
  for (int i = 0; i < 4 || seconds() < end; ++i) {
    const double start = clock_of(pool);
    row.run(args, stream_of(pool, scratch.data()));
    best = std::min(best, clock_of(pool) - start);
  }
  return best;
}

void run_case(const Case& c, const Kernel<LinearArgs>& row, int32_t inner, int32_t outputs, int max_threads) {
  Bench bench(c, inner, outputs);
  const size_t bytes = row.prepared_bytes(bench.args);
  AlignedBuffer prepared(bytes);
  ThreadPool two(2);
  const double start = seconds();
  row.prepare(bench.args, prepared.data(), stream_of(two, nullptr));
  const double prepare = seconds() - start;
  bench.args.prepared = prepared.data();
  for (int threads = 1; threads <= max_threads; ++threads) {
    ThreadPool pool(threads);
    const double one = static_cast<double>(bytes) / best_time(row, bench.args, 1, pool);
    const double reading = measure_read_bandwidth(threads, bytes);
    const double few = best_time(row, bench.args, 4, pool) * static_cast<double>(one) / static_cast<double>(bytes);
    const double operations = 2.0 * kTokens * inner * outputs;
    const double many = operations / best_time(row, bench.args, kTokens, pool);
    const double peak = c.integer_activations ? measure_vnni_peak(threads) : measure_fma_peak(threads);
    fmt::print(
        "{:24} K {:5} N {:6} {} thr | T 1: {:6.1f} GB/s of {:6.1f} ({:3.0f} %) | T 4: {:4.2f} x | T {}: {:7.1f} G/s of "
        "{:7.1f} ({:3.0f} %) | prepare {:.0f} ms\n",
        row.name, inner, outputs, threads, one * 1e-9, reading * 1e-9, 100 * one / reading, few, kTokens, many * 1e-9,
        peak * 1e-9, 100 * many / peak, prepare * 1e3);
  }
}

int run(const std::string& filter, int max_threads, const std::vector<std::pair<int32_t, int32_t>>& shapes) {
  const KernelTable& table = cpu_table();
  fmt::print("{}, level {}\n", cpu_features().name, table.name);
  for (const Case& c : kCases) {
    if (std::string(c.name).find(filter) == std::string::npos) continue;
    for (const auto& [inner, outputs] : shapes) {
      for (int32_t r = 0; r < table.linear.count; ++r) {
        if (std::string(table.linear.rows[r].name).rfind(c.name, 0) != 0) continue;
        run_case(c, table.linear.rows[r], inner, outputs, max_threads);
        break;
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace quamba2

int main(int argc, char** argv) {
  std::vector<std::pair<int32_t, int32_t>> shapes;
  for (int i = 3; i + 1 < argc; i += 2) shapes.emplace_back(std::atoi(argv[i]), std::atoi(argv[i + 1]));
  if (shapes.empty()) shapes = {{512, 2320}, {1024, 512}, {512, 50288}, {2560, 10576}};
  return quamba2::run(argc > 1 ? argv[1] : "", argc > 2 ? std::atoi(argv[2]) : 2, shapes);
}
