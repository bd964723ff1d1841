// SPDX-License-Identifier: Apache-2.0
// The row of in_proj, or of the head: the residual, its norm, and what is multiplied. A thread has kRowVectors runs of four
// columns of the residual in its registers (HandedRow::column_of).
#pragma once

#include "backends/cuda/token_exchange.cuh"
#include "backends/cuda/token_operand.cuh"

namespace quamba2::cuda {

struct Residual {
  float4 v[kRowVectors];

  __device__ __forceinline__ explicit Residual(const TokenProgram& p) {
    const float* from = p.from;
    if (p.source == RowSource::kSelect) from += static_cast<int64_t>(p.selected[0]) * p.from_stride;
    const int64_t id = p.source == RowSource::kEmbed ? p.ids[0] : 0;
    const auto number = [&](int32_t column) {
      return p.source == RowSource::kEmbed ? table_number(p.table, id, column) : from[column];
    };
#pragma unroll
    for (int i = 0; i < kRowVectors; ++i) {
      const int32_t column = HandedRow<kRowVectors>::column_of(i);
      v[i] = {0, 0, 0, 0};
      if (column < p.width) v[i] = {number(column), number(column + 1), number(column + 2), number(column + 3)};
    }
  }

  // The transform of the row; once a token, if at all. `shared`: a row.
  __device__ __noinline__ void rotate(const HadamardShape& h, float* shared) {
    store(h.width, shared);
    hadamard_runs(shared, h);
#pragma unroll 1
    for (int i = 0; i < kRowVectors; ++i) {
      const int32_t column = HandedRow<kRowVectors>::column_of(i);
      if (column >= h.width) break;
      float out[4];
      for (int k = 0; k < 4; ++k) out[k] = hadamard_element(shared, h, column + k);
      v[i] = {out[0], out[1], out[2], out[3]};
    }
    __syncthreads();
  }

  // What out_proj of the layer before has to add.
  __device__ __forceinline__ void add(const TokenProgram& p, Turn turn) {
    const uint32_t* from = p.out_results + turn.place * p.out_words;
    HandedRow<kRowVectors> row;
    row.ask(from, p.width);
    row.wait(from, p.width, turn.mark);
#pragma unroll
    for (int i = 0; i < kRowVectors; ++i) {
      if (HandedRow<kRowVectors>::column_of(i) >= p.width) break;
      const float4 d = numbers_in(row.w[i]);
      v[i] = {v[i].x + d.x, v[i].y + d.y, v[i].z + d.z, v[i].w + d.w};
    }
  }

  __device__ __forceinline__ void store(int32_t width, float* to) const {
#pragma unroll
    for (int i = 0; i < kRowVectors; ++i) {
      const int32_t column = HandedRow<kRowVectors>::column_of(i);
      if (column < width) *reinterpret_cast<float4*>(to + column) = v[i];
    }
  }

  // Squares of the row, magnitudes of the row times the norm's weight, which it leaves in its place.
  __device__ __forceinline__ Measure weigh(const float* weight, int32_t width) {
    Measure m = {0, 0};
#pragma unroll
    for (int i = 0; i < kRowVectors; ++i) {
      const int32_t column = HandedRow<kRowVectors>::column_of(i);
      m.sum += v[i].x * v[i].x + v[i].y * v[i].y + (v[i].z * v[i].z + v[i].w * v[i].w);
      if (weight != nullptr && column < width) {
        const float4 by = *reinterpret_cast<const float4*>(weight + column);
        v[i] = {v[i].x * by.x, v[i].y * by.y, v[i].z * by.z, v[i].w * by.w};
      }
      m.largest = fmaxf(fmaxf(fmaxf(m.largest, fabsf(v[i].x)), fmaxf(fabsf(v[i].y), fabsf(v[i].z))), fabsf(v[i].w));
    }
    return m;
  }
  __device__ __forceinline__ void scale(float by) {
#pragma unroll
    for (int i = 0; i < kRowVectors; ++i) v[i] = {v[i].x * by, v[i].y * by, v[i].z * by, v[i].w * by};
  }

  // Its norm, encoded, to `row`, seen by all threads; gives what results are multiplied by. `turned`: a row for transforms.
  template <WeightKind kKind>
  __device__ __forceinline__ float encode(const TokenProgram& p, const LayerTables& layer, float2* shared, float* turned,
                                          char* row) const {
    Residual normed = *this;
    Measure m = measure_block(normed.weigh(layer.norm, p.width), shared);
    float norm = rsqrtf(m.sum / static_cast<float>(p.width) + p.eps);
    if (p.head_turn.width > 0) {
      normed.scale(norm), norm = 1.0f;
      normed.rotate(p.head_turn, turned);
      m = measure_block(normed.weigh(nullptr, p.width), shared);
    }
    const OperandScale scale = operand_scale<kKind>(p.shape[0].x_is_dynamic, layer.x_in, m.largest * norm);
    normed.scale(scale.down * norm);
#pragma unroll
    for (int i = 0; i < kRowVectors; ++i) {
      const int32_t column = HandedRow<kRowVectors>::column_of(i);
      if (column >= p.width) break;
      put_two<kKind>(row, column, normed.v[i].x, normed.v[i].y);
      put_two<kKind>(row, column + 2, normed.v[i].z, normed.v[i].w);
    }
    __syncthreads();
    return scale.up;
  }
};

}  // namespace quamba2::cuda
