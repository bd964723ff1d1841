// SPDX-License-Identifier: Apache-2.0
// embed and select_rows: rows by index.
#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/numbers.cuh"
#include "backends/cuda/elementwise_rows.h"

namespace quamba2 {
namespace cuda {
namespace {

constexpr int kThreads = 256;

// A weight matrix in the canonical packing (tensor/packing.h).
struct Table {
  const char* data;
  const void* scales[2];
  int64_t row_bytes;
  int32_t groups[2];  // scales a row: 0 for one of the tensor
  int32_t group[2];   // columns that share one
  DType dtype, scale_dtype[2];
  uint8_t levels;
};

Table table_of(const Operand& w) {
  Table t = {};
  t.data = static_cast<const char*>(w.values.data);
  t.dtype = w.values.dtype;
  t.levels = w.format.levels;
  const int32_t columns = w.values.dim[1];
  // Rows of 6 bits are padded to words, whatever the stride in elements says.
  t.row_bytes = t.dtype == DType::kI6 ? (static_cast<int64_t>(columns) * 6 + 31) / 32 * 4
                                      : static_cast<int64_t>(w.values.stride[0]) * bits_of(t.dtype) / 8;
  for (int i = 0; i < t.levels; ++i) {
    const ScaleLevel& level = w.format.level[i];
    t.scales[i] = w.scales[i].data;
    t.scale_dtype[i] = level.dtype;
    t.group[i] = level.grain == Grain::kGroup ? level.group : columns;
    t.groups[i] = level.grain == Grain::kTensor ? 0 : (columns + t.group[i] - 1) / t.group[i];
  }
  return t;
}

__device__ __forceinline__ float code_at(const Table& t, const char* row, int32_t column) {
  switch (t.dtype) {
    case DType::kI8: return static_cast<float>(reinterpret_cast<const int8_t*>(row)[column]);
    case DType::kI4: return static_cast<float>(static_cast<int>(row[column / 2] >> (column % 2 * 4) & 15) - 8);
    case DType::kI6: {
      const int64_t bit = static_cast<int64_t>(column) * 6;
      const auto* bytes = reinterpret_cast<const uint8_t*>(row) + (bit >> 3);
      const int shift = static_cast<int>(bit & 7);
      uint32_t v = bytes[0];
      if (shift > 2) v |= static_cast<uint32_t>(bytes[1]) << 8;
      return static_cast<float>(static_cast<int>(v >> shift & 63) - 32);
    }
    default: return load_float(row, t.dtype, column);
  }
}

// Level by level as tensor/operand.h says: with two, codes become codes of 8 bits first.
__device__ __forceinline__ float decode(const Table& t, const char* data, int64_t row, int32_t column) {
  const float code = code_at(t, data, column);
  if (t.levels == 0) return code;
  const float inner = load_float(t.scales[0], t.scale_dtype[0], row * t.groups[0] + column / t.group[0]);
  if (t.levels == 1) return code * inner;
  const float outer = load_float(t.scales[1], t.scale_dtype[1], row * t.groups[1] + column / t.group[1]);
  return outer == 0.0f ? 0.0f : rintf(__fdiv_rn(code * inner, outer)) * outer;
}

__global__ void embed_kernel(const int32_t* ids, const __grid_constant__ Table t, int32_t width, float* out,
                             int64_t stride) {
  let_next_start();
  wait_for_previous();
  const int64_t id = ids[blockIdx.y];
  const int32_t column = static_cast<int32_t>(blockIdx.x * kThreads + threadIdx.x);
  if (column < width) out[blockIdx.y * stride + column] = decode(t, t.data + id * t.row_bytes, id, column);
}

Verdict supports_embed(const EmbedArgs& args) {
  if (args.out.format.storage != DType::kF32) return {"needs an f32 output"};
  const Format& f = args.table.format;
  if (f.storage == DType::kF64) return {"needs a table of f32, f16, bf16, i8, i6 or i4"};
  for (int i = 0; i < f.levels; ++i) {
    if (!is_float(f.level[i].dtype) || f.level[i].dtype == DType::kF64) return {"needs f32, f16 or bf16 scales"};
  }
  return {};
}

void run_embed(const EmbedArgs& args, const Stream& stream) {
  const int32_t width = args.table.values.dim[1];
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>((width + kThreads - 1) / kThreads), static_cast<unsigned>(args.ids.dim[0]));
  shape.block = dim3(kThreads);
  launch(embed_kernel, shape, stream, static_cast<const int32_t*>(args.ids.data), table_of(args.table), width,
         static_cast<float*>(args.out.values.data), static_cast<int64_t>(args.out.values.stride[0]));
}

// Words of 4 bytes where rows have whole ones, else halves.
template <class Word>
__global__ void select_rows_kernel(const int32_t* rows, const Word* x, int64_t x_stride, Word* out, int64_t out_stride,
                                   int32_t width) {
  let_next_start();
  wait_for_previous();
  const int64_t from = rows[blockIdx.y];
  const int32_t column = static_cast<int32_t>(blockIdx.x * kThreads + threadIdx.x);
  if (column < width) out[blockIdx.y * out_stride + column] = x[from * x_stride + column];
}

Verdict supports_select_rows(const SelectRowsArgs& args) {
  if (args.x.format.levels > 0 || args.x.format.storage != args.out.format.storage) return {"needs equal float types"};
  return {args.x.format.storage == DType::kF64 ? "needs f32, f16 or bf16 numbers" : nullptr};
}

void run_select_rows(const SelectRowsArgs& args, const Stream& stream) {
  const int32_t width = args.x.values.dim[1];
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>((width + kThreads - 1) / kThreads), static_cast<unsigned>(args.rows.dim[0]));
  shape.block = dim3(kThreads);
  const auto* rows = static_cast<const int32_t*>(args.rows.data);
  const auto x_stride = static_cast<int64_t>(args.x.values.stride[0]);
  const auto out_stride = static_cast<int64_t>(args.out.values.stride[0]);
  if (args.x.values.dtype == DType::kF32) {
    launch(select_rows_kernel<uint32_t>, shape, stream, rows, static_cast<const uint32_t*>(args.x.values.data),
           x_stride, static_cast<uint32_t*>(args.out.values.data), out_stride, width);
  } else {
    launch(select_rows_kernel<uint16_t>, shape, stream, rows, static_cast<const uint16_t*>(args.x.values.data),
           x_stride, static_cast<uint16_t*>(args.out.values.data), out_stride, width);
  }
}

constexpr Kernel<EmbedArgs> kEmbed[] = {{"embed", supports_embed, run_embed}};
constexpr Kernel<SelectRowsArgs> kSelectRows[] = {{"select_rows", supports_select_rows, run_select_rows}};

}  // namespace
}  // namespace cuda

KernelRows<EmbedArgs> cuda_embed_rows() { return {cuda::kEmbed, 1}; }
KernelRows<SelectRowsArgs> cuda_select_rows_rows() { return {cuda::kSelectRows, 1}; }

}  // namespace quamba2
