// SPDX-License-Identifier: Apache-2.0
// Single numbers, in portable C++: unaligned loads, conversions of 16-bit floats, splitting of work. For
// the ends of loops and for what is done once.
#include <cstddef>
#include <cstdint>

#include "backend/kernel.h"
#include "tensor/view.h"

#define QUAMBA2_INLINE [[gnu::always_inline]] inline

namespace quamba2::QUAMBA2_ISA {
namespace {

// Register tiles of builds with an address sanitizer have fewer rows: instrumented, unrolled tiles take minutes to compile.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kMostTileRows = 3;
#else
constexpr int kMostTileRows = 16;
#endif

QUAMBA2_INLINE uint32_t bits_of_float(float a) {
  uint32_t bits;
  __builtin_memcpy(&bits, &a, 4);
  return bits;
}
QUAMBA2_INLINE float float_of_bits(uint32_t bits) {
  float a;
  __builtin_memcpy(&a, &bits, 4);
  return a;
}
QUAMBA2_INLINE float f16_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16, rest = h & 0x7fffu;
  if (rest < 0x400u) return float_of_bits(sign | bits_of_float(static_cast<float>(rest) * 0x1p-24f));
  return float_of_bits(sign | ((rest << 13) + (rest >= 0x7c00u ? 0x70000000u : 0x38000000u)));
}
QUAMBA2_INLINE uint16_t float_to_f16(float a) {
  const uint32_t bits = bits_of_float(a), sign = (bits >> 16) & 0x8000u, rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((rest >> 13) & 0x3ffu));
  if (rest >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds to 65536 or more
  if (rest < 0x38800000u) {                                               // denormal: adding 0.5 rounds at 2^-24
    return static_cast<uint16_t>(sign | (bits_of_float(float_of_bits(rest) + 0.5f) - bits_of_float(0.5f)));
  }
  return static_cast<uint16_t>(sign | ((rest - 0x38000000u + 0xfffu + ((rest >> 13) & 1u)) >> 13));
}
QUAMBA2_INLINE float bf16_to_float(uint16_t h) { return float_of_bits(static_cast<uint32_t>(h) << 16); }
QUAMBA2_INLINE uint16_t float_to_bf16(float a) {
  const uint32_t bits = bits_of_float(a);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

template <class T>
QUAMBA2_INLINE T load_as(const void* base, int64_t index) {  // any alignment
  T value;
  __builtin_memcpy(&value, static_cast<const char*>(base) + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

// Element `index` of f32, f16 or bf16 numbers.
inline float load_float(const void* base, DType dtype, int64_t index) {
  if (dtype == DType::kF16) return f16_to_float(load_as<uint16_t>(base, index));
  if (dtype == DType::kBF16) return bf16_to_float(load_as<uint16_t>(base, index));
  return load_as<float>(base, index);
}

template <class T>
QUAMBA2_INLINE constexpr T smaller(T a, T b) {
  return a < b ? a : b;
}
template <class T>
QUAMBA2_INLINE constexpr T larger(T a, T b) {
  return a > b ? a : b;
}
QUAMBA2_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
QUAMBA2_INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// Thread `index` of `count` takes items [begin, end) of `items`.
struct Share {
  int64_t begin, end;
};
QUAMBA2_INLINE Share share_of(int64_t items, int index, int count) {
  return {items * index / count, items * (index + 1) / count};
}

// Runs function(index) on every thread of the stream.
template <class Function>
inline void run_parallel(const Stream& stream, const Function& function) {
  if (stream.threads <= 1 || stream.parallel == nullptr) {
    for (int i = 0; i < stream.threads; ++i) function(i);
    return;
  }
  stream.parallel(
      stream.pool, [](void* context, int index) { (*static_cast<const Function*>(context))(index); },
      const_cast<Function*>(&function));
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
