// SPDX-License-Identifier: Apache-2.0
// Speeds of linear kernels as fractions of ceilings measured in the same run: one token against reading a buffer of the
// same size, many tokens against the arithmetic peak.
//   linear_bench [filter of row names] [threads] [K N]...
#include "backends/cpu/linear_bench.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "backends/cpu/ceilings.h"
#include "backends/cpu/table.h"
#include "base/cpu_features.h"

namespace quamba2::linear_bench {
namespace {

constexpr Case kCases[] = {{"linear_w8a8", DType::kI8, 0, true},     {"linear_w4a8", DType::kI4, 64, true, true},
                           {"linear_w4a16", DType::kI4, 64, false},  {"linear_w6a8", DType::kI6, 64, true},
                           {"linear_w6a16", DType::kI6, 128, false}, {"linear_w8a16", DType::kI8, 0, false},
                           {"linear_bf16", DType::kBF16, 0, false},  {"linear_f32", DType::kF32, 0, false}};

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
    std::string few;
    for (const int tokens : {2, 4, 8, 16, 32}) {
      few += fmt::format(" {:.1f}", best_time(row, bench.args, tokens, pool) * one / static_cast<double>(bytes));
    }
    const double operations = 2.0 * kTokens * inner * outputs;
    const double many = operations / best_time(row, bench.args, kTokens, pool);
    const double peak = c.integer_activations ? measure_vnni_peak(threads) : measure_fma_peak(threads);
    fmt::print(
        "{:24} K {:5} N {:6} {} thr | T 1: {:6.1f} GB/s of {:6.1f} ({:3.0f} %) | T 2 4 8 16 32:{} x | T {}: {:7.1f} "
        "G/s of "
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
}  // namespace quamba2::linear_bench

int main(int argc, char** argv) {
  std::vector<std::pair<int32_t, int32_t>> shapes;
  for (int i = 3; i + 1 < argc; i += 2) shapes.emplace_back(std::atoi(argv[i]), std::atoi(argv[i + 1]));
  if (shapes.empty()) shapes = {{512, 2320}, {1024, 512}, {512, 50288}, {2560, 10576}};
  return quamba2::linear_bench::run(argc > 1 ? argv[1] : "", argc > 2 ? std::atoi(argv[2]) : 2, shapes);
}
