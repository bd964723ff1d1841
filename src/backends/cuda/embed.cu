// SPDX-License-Identifier: Apache-2.0
// embed and select_rows: rows by index.
#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/elementwise_rows.h"
#include "backends/cuda/embed_table.cuh"

namespace quamba2 {
namespace cuda {
namespace {

constexpr int kThreads = 256;

__global__ void embed_kernel(const int32_t* ids, const __grid_constant__ Table t, int32_t width, float* out,
                             int64_t stride) {
  let_next_start();
  wait_for_previous();
  const int64_t id = ids[blockIdx.y];
  const int32_t column = static_cast<int32_t>(blockIdx.x * kThreads + threadIdx.x);
  if (column < width) out[blockIdx.y * stride + column] = table_number(t, id, column);
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
