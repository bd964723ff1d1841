// SPDX-License-Identifier: Apache-2.0
// The row that a linear phase multiplies, computed by all threads of a block and left in shared memory as the linear kernels
// want it (linear_layout.h): codes, or floats in two parts.
#pragma once

#include "backends/cuda/linear_few_rows.cuh"
#include "backends/cuda/scan_state.cuh"
#include "backends/cuda/token_rotate.cuh"
#include "backends/cuda/token_tags.cuh"

namespace quamba2::cuda {

enum class Known : uint8_t { kNothing, kOfThread, kOfBlock };

// A row in the making: its numbers are those at `values` times `factor`.
struct Row {
  float *values, *other;  // two buffers
  float factor = 1;
  Known known = Known::kNothing;  // of the thread: squares and largest number; of the block: the largest number
  Measure measure = {};

  __device__ __forceinline__ void measure_all(int32_t width) {
    if (known == Known::kNothing) measure = measure_columns(values, width, factor);
    known = Known::kOfThread;
  }
};

// The numbers that the phase before hands on; all are asked for before the first is waited for.
__device__ __forceinline__ void load_handed(const RowOp& op, uint32_t tag, float* kept, Row* row) {
  const int32_t width = op.width, step = 4 * kTokenThreads, begin = first_column();
  const Tagged* from = op.handed + begin;
  const bool adds = op.kind == RowOpKind::kAdd;
  FourHanded first[kRowVectors] = {};
#pragma unroll
  for (int j = 0; j < kRowVectors; ++j) {
    if (begin + j * step < width) first[j] = poll_four(from + j * step);
  }
#pragma unroll
  for (int j = 0; j < kRowVectors; ++j) {
    const int32_t column = begin + j * step;
    if (column >= width) break;
    float4 v = take_four(from + j * step, first[j], tag);
    if (adds) {
      const float4 k = four_at(kept + column);
      v = {v.x + k.x, v.y + k.y, v.z + k.z, v.w + k.w};
      put_four(kept + column, v);
    }
    put_four(row->values + column, v);
    row->measure.add(v);
  }
  row->known = Known::kOfThread;
}

// Rows from elsewhere, once a token.
__device__ __noinline__ void load_other(const TokenProgram& p, const RowOp& op, float* kept, float* values) {
  const int64_t id = op.kind == RowOpKind::kEmbed ? p.ids[0] : 0;
  const float* from = op.kind == RowOpKind::kKept ? kept : op.from;
  if (op.kind == RowOpKind::kSelect) from += static_cast<int64_t>(p.selected[0]) * op.stride;
#pragma unroll 1
  for (int32_t column = first_column(); column < op.width; column += 4 * kTokenThreads) {
#pragma unroll 1
    for (int k = 0; k < 4; ++k) {
      const float v = op.kind == RowOpKind::kEmbed ? table_number(p.table, id, column + k) : from[column + k];
      kept[column + k] = values[column + k] = v;
    }
  }
}

__device__ __noinline__ void normalize_groups(const RowOp& op, BlockReducer& reducer, float factor, float* values) {
  const int32_t group_width = op.width / op.groups;
  for (int32_t g = 0; g < op.groups; ++g) {
    Measure m;
    visit_columns(op.width, [&](int32_t column) {
      if (column / group_width == g) m.add(scaled(four_at(values + column), factor));
    });
    const float r = 1.0f / sqrtf(reducer.reduce(m).sum / static_cast<float>(group_width) + op.eps);
    visit_columns(op.width, [&](int32_t column) {
      if (column / group_width == g) put_four(values + column, scaled(scaled(four_at(values + column), factor), r));
    });
  }
}

__device__ __forceinline__ void normalize(const RowOp& op, BlockReducer& reducer, Row* row) {
  if (op.groups > 1) {
    normalize_groups(op, reducer, row->factor, row->values);
    row->factor = 1;
    row->known = Known::kNothing;
  } else {
    row->measure_all(op.width);
    const Measure all = reducer.reduce(row->measure);
    const float r = rsqrtf(all.sum / static_cast<float>(op.width) + op.eps);
    row->factor *= r;
    row->measure.largest = all.largest * r;
    row->known = Known::kOfBlock;
  }
  if (op.weight == nullptr) return;
  visit_columns(op.width, [&](int32_t column) {
    const float4 w = scaled(four_at(op.weight + column), row->factor), v = four_at(row->values + column);
    put_four(row->values + column, {v.x * w.x, v.y * w.y, v.z * w.z, v.w * w.w});
  });
  row->factor = 1;
  row->known = Known::kNothing;
}

// `tag`: of the phase before.
__device__ __forceinline__ void run_row_op(const TokenProgram& p, const RowOp& op, uint32_t tag, float* kept,
                                           const float* signs, BlockReducer& reducer, Row* row) {
  switch (op.kind) {
    case RowOpKind::kAdd:
    case RowOpKind::kLoad: load_handed(op, tag, kept, row); return;
    case RowOpKind::kNorm: normalize(op, reducer, row); return;
    case RowOpKind::kRotate: {
      const HadamardShape& h = p.rotation[op.rotation];
      rotate(h, signs + op.rotation * kLargestCore * kLargestCore, row->factor, row->values, row->other);
      float* last = row->values;
      if (ends_in_other(h)) row->values = row->other, row->other = last;
      row->factor = 1;
      row->known = Known::kNothing;
      return;
    }
    default: load_other(p, op, kept, row->values);
  }
}

// A word of codes. The largest of a row under a scale of its own is 127 but for roundings: only static scales need limits.
__device__ __forceinline__ uint32_t four_codes(float4 v, float up, float inverse) {
  const auto code = [&](float x) {
    return static_cast<uint32_t>(__float2int_rn(fminf(fmaxf(x * up * inverse, -128.0f), 127.0f))) & 255u;
  };
  return code(v.x) | code(v.y) << 8 | code(v.z) << 16 | code(v.w) << 24;
}

// Leaves the row in its other buffer as the right operand, zeros behind it up to whole tiles, and gives what its results are
// multiplied by.
template <WeightKind kKind>
__device__ __forceinline__ float encode_row(const LinearPhase& l, BlockReducer& reducer, Row* row) {
  const int32_t end = l.k_tiles * tile_columns(kKind);
  const bool is_dynamic = !multiplies_codes(kKind) || l.x_by == ScaleBy::kRow;
  float largest = row->measure.largest;
  if (is_dynamic && row->known != Known::kOfBlock) {
    row->measure_all(l.inner);
    largest = reducer.reduce(row->measure).largest;
  }
  if constexpr (multiplies_codes(kKind)) {
    const float scale = is_dynamic ? __fdiv_rn(largest, 127.0f) : *l.x_scale;
    const CodeFactor code = code_factor(scale);
    const float up = code.up * row->factor;
    visit_columns(end, [&](int32_t column) {
      const uint32_t word = column < l.inner ? four_codes(four_at(row->values + column), up, code.inverse) : 0;
      *reinterpret_cast<uint32_t*>(reinterpret_cast<char*>(row->other) + column) = word;
    });
    return scale;
  } else {
    const PowerOfTwo power = power_for(largest);
    visit_columns(end, [&](int32_t column) {
      const float4 four = column < l.inner ? scaled(four_at(row->values + column), row->factor) : float4{};
      const float v[4] = {four.x * power.down, four.y * power.down, four.z * power.down, four.w * power.down};
      uint32_t high[4], low[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) split_number<kKind == WeightKind::kBF16>(v[k], &high[k], &low[k]);
      *reinterpret_cast<uint4*>(row->other + column) =
          make_uint4(high[0] | high[1] << 16, high[2] | high[3] << 16, low[0] | low[1] << 16, low[2] | low[3] << 16);
    });
    return power.up;
  }
}

}  // namespace quamba2::cuda
