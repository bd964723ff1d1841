// SPDX-License-Identifier: Apache-2.0
// The row that a linear phase multiplies, computed by all threads of a block and left in shared memory as the linear kernels
// want it (linear_layout.h): codes, or floats in two parts.
#pragma once

#include "backends/cuda/linear_few_rows.cuh"
#include "backends/cuda/token_rotate.cuh"
#include "backends/cuda/token_tags.cuh"

namespace quamba2::cuda {

// Of a block, in shared memory.
struct RowBuffers {
  float *kept, *values, *other;  // the residual; two rows, of which `other` ends as the right operand
  float *squares, *factors;      // [kTokenThreads], [kMostGroups]
};

struct RowRuns {
  float4 v[kRowVectors];
};

// Rows from elsewhere than the phase before, once a token.
__device__ __noinline__ void load_other(const TokenProgram& p, const RowForm& row, const float* kept, float* values) {
  const int64_t id = row.source == RowSource::kEmbed ? p.ids[0] : 0;
  const float* from = row.source == RowSource::kKept ? kept : row.from;
  if (row.source == RowSource::kSelect) from += static_cast<int64_t>(p.selected[0]) * row.stride;
#pragma unroll 1
  for (int32_t column = first_column(); column < row.width; column += 4 * kTokenThreads) {
#pragma unroll 1
    for (int k = 0; k < 4; ++k)
      values[column + k] =
          row.source == RowSource::kEmbed ? table_number(p.table, id, column + k) : from[column + k];
  }
}

// Asks for sums of squares that the scan hands on, one a thread. All of the row is on its way when they are there.
__device__ __forceinline__ void take_squares(const RowForm& row, uint32_t tag, float* squares) {
  const auto t = static_cast<int32_t>(threadIdx.x);
  if (t < row.square_count) squares[t] = take_handed(row.squares + t, poll_one(row.squares + t), tag);
}
// What the norm multiplies the row by; with groups, what is in `factors` instead. One barrier, two with groups.
__device__ __forceinline__ float norm_of_squares(const RowForm& row, const RowBuffers& b) {
  const auto t = static_cast<int32_t>(threadIdx.x), lane = t % 32;
  const int32_t each = row.square_count / row.groups;
  const float parts = static_cast<float>(row.width / row.groups);
  const auto factor_of = [&](int32_t group) {
    float sum = 0;
#pragma unroll 1
    for (int32_t i = lane; i < each; i += 32) sum += b.squares[group * each + i];
    return rsqrtf(warp_sum(sum) / parts + row.eps);
  };
  __syncthreads();
  if (row.groups == 1) return factor_of(0);
  if (t / 32 < row.groups) {
    const float f = factor_of(t / 32);
    if (lane == 0) b.factors[t / 32] = f;
  }
  __syncthreads();
  return 1.0f;
}

// The row before its norm, and what the norm multiplies it by where the scan hands on squares.
__device__ __forceinline__ float take_runs(const TokenProgram& p, const RowForm& row, uint32_t tag, const RowBuffers& b,
                                           RowRuns* to) {
  float factor = 1.0f;
  if (row.source != RowSource::kHanded) {
    load_other(p, row, b.kept, b.values);
    visit_runs(row.width, [&](int j, int32_t column) { to->v[j] = four_at(b.values + column); });
  } else {
    FourHanded f[kRowVectors];
    if (row.squares != nullptr) take_squares(row, tag, b.squares);
    visit_runs(row.width, [&](int j, int32_t column) { f[j].poll(row.handed + column); });
    if (row.squares != nullptr) factor = norm_of_squares(row, b);
    for (int polls = 0;; ++polls) {
      int32_t lacking = 0;
      visit_runs(row.width, [&](int j, int32_t) { lacking |= f[j].lacking(tag); });
      if (lacking >= 0) break;
      if (polls == kMostPolls) __trap();
      visit_runs(row.width, [&](int j, int32_t column) { f[j].poll(row.handed + column); });
    }
    visit_runs(row.width, [&](int j, int32_t) { to->v[j] = f[j].numbers(); });
  }
  if (row.adds)
    visit_runs(row.width, [&](int j, int32_t column) { to->v[j] = plus(to->v[j], four_at(b.kept + column)); });
  if (row.keeps) visit_runs(row.width, [&](int j, int32_t column) { put_four(b.kept + column, to->v[j]); });
  return factor;
}

// The core's part of a rotation, to b.values; what the norm multiplies the row by. Ends with all threads' numbers seen.
template <int kOrder>
__device__ __forceinline__ float take_turned(const RowForm& row, uint32_t tag, const RowBuffers& b) {
  const auto t = static_cast<int32_t>(threadIdx.x);
  const int32_t run = row.width / kOrder;
  ManyHanded<kOrder> handed;
  float factor = 1.0f;
  if (row.squares != nullptr) take_squares(row, tag, b.squares);
  if (t < run) handed.poll(row.handed + t, run);
  if (row.squares != nullptr) factor = norm_of_squares(row, b);
  if (t < run) {
    handed.wait(row.handed + t, run, tag);
    float v[kOrder];
#pragma unroll
    for (int i = 0; i < kOrder; ++i) v[i] = number_in(handed.v[i]);
    if (row.groups > 1) {
      const int32_t width = row.width / row.groups;
#pragma unroll 1
      for (int32_t column = t, i = 0; i < kOrder; ++i, column += run) b.values[column] = b.factors[column / width];
#pragma unroll
      for (int i = 0; i < kOrder; ++i) v[i] *= b.values[t + i * run];
    }
    turn_core(v);
#pragma unroll
    for (int i = 0; i < kOrder; ++i) b.values[t + i * run] = v[i];
  }
  __syncthreads();
  return factor;
}

__device__ __forceinline__ int32_t one_code(float v, float up, float inverse) {
  return __float2int_rn(fminf(fmaxf(v * up * inverse, -128.0f), 127.0f));
}
__device__ __forceinline__ uint32_t four_codes(float4 v, float up, float inverse) {
  const auto code = [&](float x) { return static_cast<uint32_t>(one_code(x, up, inverse)) & 255u; };
  return code(v.x) | code(v.y) << 8 | code(v.z) << 16 | code(v.w) << 24;
}

// Numbers of a row whose largest magnitude is known, as the right operand; what its results are multiplied by.
template <WeightKind kKind, class Get>
__device__ __forceinline__ float encode_row(const LinearPhase& l, float largest, float* other, Get get) {
  const int32_t end = l.k_tiles * tile_columns(kKind);
  const auto number = [&](int j, int32_t column) { return column < l.inner ? get(j, column) : float4{}; };
  if constexpr (multiplies_codes(kKind)) {
    float scale = l.x_scale, up = l.x_up, inverse = l.x_inverse;
    if (l.x_is_dynamic) {
      scale = __fdiv_rn(largest, 127.0f);
      const CodeFactor code = code_factor(scale);
      up = code.up, inverse = code.inverse;
    }
    visit_runs(end, [&](int j, int32_t column) {
      *reinterpret_cast<uint32_t*>(reinterpret_cast<char*>(other) + column) = four_codes(number(j, column), up, inverse);
    });
    return scale;
  } else {
    const PowerOfTwo power = power_for(largest);
    visit_runs(end, [&](int j, int32_t column) {
      const float4 four = scaled(number(j, column), power.down);
      const float v[4] = {four.x, four.y, four.z, four.w};
      uint32_t high[4], low[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) split_number<kKind == WeightKind::kBF16>(v[k], &high[k], &low[k]);
      *reinterpret_cast<uint4*>(other + column) =
          make_uint4(high[0] | high[1] << 16, high[2] | high[3] << 16, low[0] | low[1] << 16, low[2] | low[3] << 16);
    });
    return power.up;
  }
}

// A row that is rotated in parts.
template <WeightKind kKind>
__device__ __forceinline__ float make_turned_row(const TokenProgram& p, const LinearPhase& l, uint32_t tag,
                                                 const RowBuffers& b, BlockReducer& reducer) {
  const RowForm& row = l.row;
  float factor = p.rotation[row.rotation].scale;
  switch (row.turn) {
    case RowTurn::kTwelve: factor *= take_turned<12>(row, tag, b); break;
    case RowTurn::kTwenty: factor *= take_turned<20>(row, tag, b); break;
    case RowTurn::kTwentyEight: factor *= take_turned<28>(row, tag, b); break;
    default: factor *= take_turned<16>(row, tag, b); break;
  }
  if (multiplies_codes(kKind) && !l.x_is_dynamic) {
    const float up = l.x_up * factor;
    int8_t* const codes = reinterpret_cast<int8_t*>(b.other);
    turn_rest(row.levels, b.values, row.width, row.channels_shift, [&](int32_t column, float v) {
      codes[column] = static_cast<int8_t>(one_code(v, up, l.x_inverse));
    });
    for (int32_t i = l.inner + first_column(); i < l.k_tiles * tile_columns(kKind); i += 4 * kTokenThreads)
      *reinterpret_cast<uint32_t*>(codes + i) = 0;
    return l.x_scale;
  }
  Measure m;
  turn_rest(row.levels, b.values, row.width, row.channels_shift, [&](int32_t column, float v) {
    v *= factor;
    m.add(v);
    b.values[column] = v;
  });
  m = reducer.reduce(m);
  return encode_row<kKind>(l, m.largest, b.other, [&](int, int32_t column) { return four_at(b.values + column); });
}

// `tag`: of the phase before. The row is in b.other behind a barrier.
template <WeightKind kKind>
__device__ __forceinline__ float make_row(const TokenProgram& p, const LinearPhase& l, uint32_t tag, const RowBuffers& b,
                                          BlockReducer& reducer) {
  const RowForm& row = l.row;
  if (row.turn > RowTurn::kAny) return make_turned_row<kKind>(p, l, tag, b, reducer);
  RowRuns runs;
  float factor = take_runs(p, row, tag, b, &runs);
  const auto measured = [&] {
    Measure m;
    visit_runs(row.width, [&](int j, int32_t) { m.add(runs.v[j]); });
    return reducer.reduce(m);
  };
  const auto turn = [&](int32_t rotation) {
    visit_runs(row.width, [&](int j, int32_t column) { put_four(b.values + column, runs.v[j]); });
    rotate_any(p.rotation[rotation], b.values, b.other);
    visit_runs(row.width, [&](int j, int32_t column) { runs.v[j] = four_at(b.values + column); });
  };
  if (row.first_rotation >= 0) turn(row.first_rotation);
  Measure m;
  bool is_measured = false;
  if (row.has_norm && row.squares == nullptr) {
    m = measured();
    factor = rsqrtf(m.sum / static_cast<float>(row.width) + row.eps);
    m.largest *= factor;
    is_measured = row.weight == nullptr;
  }
  if (row.has_norm) {
    const int32_t group_width = row.width / row.groups;
    visit_runs(row.width, [&](int j, int32_t column) {
      const float by = row.groups > 1 ? b.factors[column / group_width] : factor;
      runs.v[j] = row.weight != nullptr ? times(runs.v[j], scaled(four_at(row.weight + column), by))
                                        : scaled(runs.v[j], by);
    });
  }
  if (row.turn == RowTurn::kAny) turn(row.rotation), is_measured = false;
  if ((!multiplies_codes(kKind) || l.x_is_dynamic) && !is_measured) m = measured();
  return encode_row<kKind>(l, m.largest, b.other, [&](int j, int32_t) { return runs.v[j]; });
}

}  // namespace quamba2::cuda
