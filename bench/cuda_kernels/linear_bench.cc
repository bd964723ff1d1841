// SPDX-License-Identifier: Apache-2.0
// Every prepared kind of `linear` at the shapes of Mamba2 models, one token to a prompt.
#include <cstring>

#include "backends/cuda/linear_layout.h"
#include "backends/cuda/linear_rows.h"
#include "cuda_kernels/bench.h"

namespace quamba2::cuda_bench {
namespace {

struct KindOfLinear {
  const char* name;
  cuda::WeightKind kind;
  DType weight, x;
  int group, levels;
};
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

LinearArgs problem(const KindOfLinear& k, const Shape& s, int32_t tokens) {
  LinearArgs a;
  a.weight.values = {nullptr, {s.outputs, s.inner}, {s.inner, 1}, k.weight, 2};
  a.weight.format.storage = k.weight;
  a.weight.format.levels = static_cast<uint8_t>(k.levels);
  if (k.group) a.weight.format.level[0] = {Grain::kGroup, static_cast<int16_t>(k.group), DType::kF16};
  if (k.levels) a.weight.format.level[k.group ? 1 : 0] = {Grain::kRow, 0, DType::kF32};
  if (k.group && k.levels == 1) a.weight.format.level[0] = {Grain::kGroup, static_cast<int16_t>(k.group), DType::kF16};
  a.x.values = {nullptr, {tokens, s.inner}, {s.inner, 1}, k.x, 2};
  a.x.format.storage = k.x;
  if (k.x == DType::kI8) {
    a.x.format.levels = 1, a.x.format.dynamic = true, a.x.format.level[0] = {Grain::kRow, 0, DType::kF32};
    a.x.scales[0] = {random_floats(tokens, DType::kF32, 0.01f), {tokens}, {1}, DType::kF32, 1};
    a.x.values.data = random_bytes(static_cast<size_t>(tokens) * static_cast<size_t>(s.inner));
  } else {
    a.x.values.data = random_floats(static_cast<int64_t>(tokens) * s.inner, k.x, 1.0f);
  }
  a.out.count = 1, a.out.begin[1] = s.outputs;
  a.out.part[0].values = {zeros(static_cast<size_t>(tokens) * static_cast<size_t>(s.outputs) * 4),
                          {tokens, s.outputs},
                          {s.outputs, 1},
                          DType::kF32,
                          2};
  return a;
}

// Prepared weights of random codes and sane scales: what is measured does not depend on them.
std::vector<const void*> weights_of(const cuda::LinearLayout& l) {
  std::vector<const void*> all;
  for (int i = 0; i < rotations(static_cast<size_t>(l.bytes)); ++i) {
    char* p = static_cast<char*>(random_bytes(static_cast<size_t>(l.bytes)));
    const size_t scales = static_cast<size_t>(l.bytes - l.group_offset);
    const std::vector<uint32_t> halves(scales / 4 + 1, 0x22002200u);
    check(cudaMemcpy(p + l.group_offset, halves.data(), scales, cudaMemcpyHostToDevice), "scales");
    if (l.kind == cuda::WeightKind::kBF16) {
      const std::vector<uint16_t> numbers(static_cast<size_t>(l.group_offset) / 2, 0x3c31);
      check(cudaMemcpy(p, numbers.data(), static_cast<size_t>(l.group_offset), cudaMemcpyHostToDevice), "numbers");
    }
    all.push_back(p);
  }
  return all;
}

}  // namespace

void bench_linear(const Ceilings& c, const std::string& filter) {
  const KernelRows<LinearArgs> rows = cuda_linear_rows(90);
  for (const KindOfLinear& kind : kKinds) {
    if (!filter.empty() && std::string(kind.name).find(filter) == std::string::npos) continue;
    for (const Shape& shape : kShapes) {
      const cuda::LinearLayout layout =
          cuda::linear_layout(kind.kind, shape.outputs, shape.inner, kind.group ? kind.group : shape.inner);
      const std::vector<const void*> weights = weights_of(layout);
      for (const int32_t tokens : {1, 4, 8, 16, 32, 64, 128, 512, 2048}) {
        LinearArgs args = problem(kind, shape, tokens);
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
