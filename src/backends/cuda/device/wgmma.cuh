// SPDX-License-Identifier: Apache-2.0
// The matrix instructions of sm_90a for four warps at once (wgmma). The left
// operand is in registers, laid out as for mma.sync (ptx.cuh) with 16 rows a warp; the right one is 64 or 128 rows of 128
// bytes in shared memory, where 16-byte piece c of row r lies at piece c ^ r % 8. Results: d[4 j + 2 h + i] is row 8 h + g of the warp's
// 16, column 8 j + 2 q + i.
#pragma once

#include <cstdint>

#include "backends/cuda/device/barrier.cuh"

namespace quamba2::cuda {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Names rows of 128 bytes, swizzled, whose first 1024 bytes (8 rows) begin at a multiple of 1024.
__device__ __forceinline__ uint64_t rows_descriptor(const void* shared) {
  return (uint64_t{1} << 62) | (uint64_t{64} << 32) | (uint64_t{1} << 16) | ((shared_address(shared) & 0x3ffffu) >> 4);
}

__device__ __forceinline__ void fence_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kLeft>
__device__ __forceinline__ void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
}

// One instruction on 64 sums a thread: `sum` is their asm constraint, `scales` what follows the predicate.
#define QUAMBA2_EIGHT(sum, i) \
  sum(d[i]), sum(d[i + 1]), sum(d[i + 2]), sum(d[i + 3]), sum(d[i + 4]), sum(d[i + 5]), sum(d[i + 6]), sum(d[i + 7])
#define QUAMBA2_PRODUCTS(instruction, scales, sum)                                                     \
  asm volatile(                                                                                        \
      "{\n"                                                                                            \
      ".reg .pred p;\n"                                                                                \
      "setp.ne.b32 p, %69, 0;\n"                                                                       \
      "wgmma.mma_async.sync.aligned." instruction                                                      \
      " "                                                                                              \
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                        \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "               \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "               \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "              \
      "{%64, %65, %66, %67}, %68, p" scales                                                            \
      ";\n"                                                                                            \
      "}\n"                                                                                            \
      : QUAMBA2_EIGHT(sum, 0), QUAMBA2_EIGHT(sum, 8), QUAMBA2_EIGHT(sum, 16), QUAMBA2_EIGHT(sum, 24),  \
        QUAMBA2_EIGHT(sum, 32), QUAMBA2_EIGHT(sum, 40), QUAMBA2_EIGHT(sum, 48), QUAMBA2_EIGHT(sum, 56) \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)))

// The same on 32 sums.
#define QUAMBA2_PRODUCTS_64(instruction, scales, sum)                                                \
  asm volatile(                                                                                      \
      "{\n"                                                                                          \
      ".reg .pred p;\n"                                                                              \
      "setp.ne.b32 p, %37, 0;\n"                                                                     \
      "wgmma.mma_async.sync.aligned." instruction                                                    \
      " "                                                                                            \
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                      \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "            \
      "{%32, %33, %34, %35}, %36, p" scales                                                          \
      ";\n"                                                                                          \
      "}\n"                                                                                          \
      : QUAMBA2_EIGHT(sum, 0), QUAMBA2_EIGHT(sum, 8), QUAMBA2_EIGHT(sum, 16), QUAMBA2_EIGHT(sum, 24) \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)))

// d = a * b, or d += a * b: codes [64, 32] times [32, 128], floats [64, 16] times [16, 128]; 64 columns where d is 32 sums.
__device__ __forceinline__ void products_s8(int (&d)[64], const uint32_t (&a)[4], uint64_t b, bool add) {
  QUAMBA2_PRODUCTS("m64n128k32.s32.s8.s8", "", "+r");
}
__device__ __forceinline__ void products_s8(int (&d)[32], const uint32_t (&a)[4], uint64_t b, bool add) {
  QUAMBA2_PRODUCTS_64("m64n64k32.s32.s8.s8", "", "+r");
}
__device__ __forceinline__ void products_f16(float (&d)[64], const uint32_t (&a)[4], uint64_t b, bool add) {
  QUAMBA2_PRODUCTS("m64n128k16.f32.f16.f16", ", 1, 1, 0", "+f");
}
__device__ __forceinline__ void products_f16(float (&d)[32], const uint32_t (&a)[4], uint64_t b, bool add) {
  QUAMBA2_PRODUCTS_64("m64n64k16.f32.f16.f16", ", 1, 1, 0", "+f");
}
__device__ __forceinline__ void products_bf16(float (&d)[64], const uint32_t (&a)[4], uint64_t b, bool add) {
  QUAMBA2_PRODUCTS("m64n128k16.f32.bf16.bf16", ", 1, 1, 0", "+f");
}
__device__ __forceinline__ void products_bf16(float (&d)[32], const uint32_t (&a)[4], uint64_t b, bool add) {
  QUAMBA2_PRODUCTS_64("m64n64k16.f32.bf16.bf16", ", 1, 1, 0", "+f");
}
#undef QUAMBA2_PRODUCTS_64
#undef QUAMBA2_PRODUCTS
#undef QUAMBA2_EIGHT

template <int kRegisters>
__device__ __forceinline__ void more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void fewer_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

#endif

}  // namespace quamba2::cuda
