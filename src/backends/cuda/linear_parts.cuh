// SPDX-License-Identifier: Apache-2.0
// What every linear kernel is given, and the end of each: a result, plus bias, to its part of the output.
#pragma once

#include "backends/cuda/device/numbers.cuh"
#include "backends/cuda/linear_layout.h"
#include "ops/linear.h"

namespace quamba2::cuda {

struct LinearParts {
  Numbers part[kMaxParts];
  int32_t begin[kMaxParts + 1];
  int32_t count;
  const float* bias;  // [N] or null
};

inline LinearParts parts_of(const LinearArgs& args) {
  LinearParts p = {};
  p.count = args.out.count;
  p.bias = static_cast<const float*>(args.bias.data);
  for (int i = 0; i < args.out.count; ++i) p.part[i] = numbers_of(args.out.part[i]);
  for (int i = 0; i <= args.out.count; ++i) p.begin[i] = args.out.begin[i];
  return p;
}

__device__ __forceinline__ void store_result(const LinearParts& p, int32_t token, int32_t n, float y) {
  if (p.bias != nullptr) y += p.bias[n];
#pragma unroll
  for (int i = 0; i < kMaxParts; ++i) {
    if (i < p.count && n >= p.begin[i] && n < p.begin[i + 1]) return store_number(p.part[i], token, n - p.begin[i], y);
  }
}

// A weight as linear_prepare.h leaves it.
struct PreparedWeight {
  const char* codes;
  const uint32_t* groups;  // pairs of f16
  const float* rows;
  int32_t outputs, inner, bands, k_tiles, group_count, group_shift;  // a group has 1 << group_shift tiles
};

inline PreparedWeight prepared_weight(const void* prepared, const LinearLayout& l) {
  const char* p = static_cast<const char*>(prepared);
  return {p,
          reinterpret_cast<const uint32_t*>(p + l.group_offset),
          reinterpret_cast<const float*>(p + l.row_offset),
          l.outputs,
          l.inner,
          l.bands,
          l.k_tiles,
          l.groups,
          l.group_shift};
}

inline const char* refuse_linear_operands(const LinearArgs& args) {
  if (const char* reason = refuse_numbers(args.x)) return reason;
  for (int i = 0; i < args.out.count; ++i) {
    if (const char* reason = refuse_static_numbers(args.out.part[i])) return reason;
  }
  return nullptr;
}

}  // namespace quamba2::cuda
