// SPDX-License-Identifier: Apache-2.0
// What benches of linear kernels share: random operands of a format, and the best time of a kernel on them.
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "backend/kernel.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace quamba2::linear_bench {

constexpr int32_t kTokens = 512;

struct Case {
  const char* name;
  DType weight;
  int group;  // 0: a scale a row, for integers
  bool integer_activations;
  bool two_levels = false;
};
inline double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline void fill(const Tensor& tensor, uint64_t seed) {
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

inline Stream stream_of(ThreadPool& pool, void* scratch) {
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
inline double clock_of(const ThreadPool& pool) {
  if (pool.threads() > 1) return seconds();
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

inline double best_time(const Kernel<LinearArgs>& row, LinearArgs args, int32_t tokens, ThreadPool& pool) {
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

}  // namespace quamba2::linear_bench
