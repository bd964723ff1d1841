// SPDX-License-Identifier: Apache-2.0
// Every prepared kind of `linear` at the shapes of Mamba2 models, one token to a prompt.
#include "backends/cuda/linear_rows.h"
#include "cuda_kernels/operands.h"

namespace quamba2::cuda_bench {
namespace {

constexpr KindOfLinear kKinds[] = {
    {"linear_w4a8", cuda::WeightKind::kI4Ratio, DType::kI4, DType::kI8, 128, 2},
    {"linear_w4a16", cuda::WeightKind::kI4Float, DType::kI4, DType::kF32, 128, 1},
    {"linear_w8a8", cuda::WeightKind::kI8, DType::kI8, DType::kI8, 0, 1},
    {"linear_w6a8", cuda::WeightKind::kI6, DType::kI6, DType::kI8, 64, 1},
    {"linear_bf16", cuda::WeightKind::kBF16, DType::kBF16, DType::kF32, 0, 0},
};

struct Shape {
  const char* name;
  int32_t outputs, inner;
};
constexpr Shape kShapes[] = {{"2.7B in_proj", 10576, 2560},
                             {"2.7B out_proj", 2560, 5120},
                             {"130M in_proj", 3352, 768},
                             {"8B in_proj", 18560, 4096}};

}  // namespace

void bench_linear(const Ceilings& c, const std::string& filter) {
  const KernelRows<LinearArgs> rows = cuda_linear_rows(90);
  for (const KindOfLinear& kind : kKinds) {
    if (!filter.empty() && std::string(kind.name).find(filter) == std::string::npos) continue;
    for (const Shape& shape : kShapes) {
      const cuda::LinearLayout layout = linear_layout_of(kind, shape.outputs, shape.inner);
      const std::vector<const void*> weights = prepared_weights(layout);
      for (const int32_t tokens : {1, 4, 8, 16, 32, 64, 128, 512, 2048}) {
        LinearArgs args = linear_problem(kind, shape.outputs, shape.inner, tokens);
        const Kernel<LinearArgs>* row = nullptr;
        for (int32_t i = 0; i < rows.count && row == nullptr; ++i) {
          if (rows.rows[i].supports(args).refusal == nullptr) row = rows.rows + i;
        }
        char* scratch = static_cast<char*>(zeros(row->scratch_bytes ? row->scratch_bytes(args, 1) : 1));
        const double us = microseconds(
            [&](const Stream& stream, int i) {
              LinearArgs now = args;
              now.prepared = weights[static_cast<size_t>(i) % weights.size()];
              Stream s = stream;
              s.scratch = scratch;
              row->run(now, s);
            },
            tokens > 16 ? 10 : 40, 5);
        const double outputs = shape.outputs, inner = shape.inner;
        const double bytes = static_cast<double>(layout.bytes) + tokens * (inner * bits_of(kind.x) / 8 + outputs * 4);
        print_line({kind.name, shape.name, tokens, us, bytes, 2.0 * outputs * inner * tokens}, c);
      }
      release_all();
    }
  }
}

}  // namespace quamba2::cuda_bench
