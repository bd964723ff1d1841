// SPDX-License-Identifier: Apache-2.0
// linear_w8a8 beside oneDNN's matmul of u8 and s8 to f32 on the same shapes, in turn, as fractions of the same peak.
//   onednn_bench [threads] [K N]...
#include <fmt/format.h>
#include <omp.h>

#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>

#include "backends/cpu/ceilings.h"
#include "backends/cpu/linear_bench.h"
#include "backends/cpu/table.h"
#include "base/cpu_features.h"

namespace quamba2::linear_bench {
namespace {

// Weights re-laid once, as oneDNN likes them; scales in the epilogue, as ours.
class OneDnn {
 public:
  OneDnn(int32_t inner, int32_t outputs) : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using dnnl::memory;
    const memory::desc x({kTokens, inner}, memory::data_type::u8, memory::format_tag::ab);
    const memory::desc w({inner, outputs}, memory::data_type::s8, memory::format_tag::any);
    const memory::desc y({kTokens, outputs}, memory::data_type::f32, memory::format_tag::ab);
    dnnl::primitive_attr attributes;
    attributes.set_output_scales(1 << 1, std::vector<float>(static_cast<size_t>(outputs), 0.001f));
    const dnnl::matmul::primitive_desc chosen(dnnl::matmul::desc(x, w, y), attributes, engine_);
    x_ = memory(x, engine_);
    w_ = memory(chosen.weights_desc(), engine_);
    y_ = memory(y, engine_);
    memory plain({{inner, outputs}, memory::data_type::s8, memory::format_tag::ab}, engine_);
    fill_bytes(x_);
    fill_bytes(plain);
    dnnl::reorder(plain, w_).execute(stream_, plain, w_);
    stream_.wait();
    matmul_ = dnnl::matmul(chosen);
    name_ = chosen.impl_info_str();
  }
  const std::string& name() const { return name_; }
  double best_time() {
    double best = 1e9;
    const double end = seconds() + 0.3;
    for (int i = 0; i < 4 || seconds() < end; ++i) {
      const double start = seconds();
      matmul_.execute(stream_, {{DNNL_ARG_SRC, x_}, {DNNL_ARG_WEIGHTS, w_}, {DNNL_ARG_DST, y_}});
      stream_.wait();
      best = std::min(best, seconds() - start);
    }
    return best;
  }

 private:
  static void fill_bytes(dnnl::memory& m) {
    Random random(1);
    char* p = static_cast<char*>(m.get_data_handle());
    for (size_t i = 0; i < m.get_desc().get_size(); ++i) p[i] = static_cast<char>(random.next());
  }
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::memory x_, w_, y_;
  dnnl::matmul matmul_;
  std::string name_;
};

void compare(int threads, int32_t inner, int32_t outputs) {
  Bench bench({"linear_w8a8", DType::kI8, 0, true}, inner, outputs);
  const Kernel<LinearArgs>& row = cpu_table().linear.rows[0];
  ThreadPool pool(threads);
  AlignedBuffer prepared(row.prepared_bytes(bench.args));
  row.prepare(bench.args, prepared.data(), stream_of(pool, nullptr));
  bench.args.prepared = prepared.data();
  OneDnn peer(inner, outputs);
  double ours = 1e9, theirs = 1e9;
  for (int round = 0; round < 3; ++round) {
    ours = std::min(ours, best_time(row, bench.args, kTokens, pool));
    theirs = std::min(theirs, peer.best_time());
  }
  const double operations = 2.0 * kTokens * inner * outputs, peak = measure_vnni_peak(threads);
  fmt::print("K {:5} N {:6} {} thr | {} {:7.1f} G/s ({:3.0f} %) | oneDNN {} {:7.1f} G/s ({:3.0f} %) | {:.2f} x\n",
             inner, outputs, threads, row.name, operations / ours * 1e-9, 100 * operations / ours / peak, peer.name(),
             operations / theirs * 1e-9, 100 * operations / theirs / peak, theirs / ours);
}

}  // namespace
}  // namespace quamba2::linear_bench

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  omp_set_num_threads(threads);
  std::vector<std::pair<int32_t, int32_t>> shapes;
  for (int i = 2; i + 1 < argc; i += 2) shapes.emplace_back(std::atoi(argv[i]), std::atoi(argv[i + 1]));
  if (shapes.empty()) shapes = {{768, 3352}, {1536, 768}, {1536, 6448}, {3072, 1536}, {2560, 10576}, {5120, 2560}};
  fmt::print("{}, {} tokens\n", quamba2::cpu_features().name, quamba2::linear_bench::kTokens);
  for (const auto& [inner, outputs] : shapes) quamba2::linear_bench::compare(threads, inner, outputs);
  return 0;
}
