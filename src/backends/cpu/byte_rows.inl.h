// SPDX-License-Identifier: Apache-2.0
// Activations as linear_grouped reads them: rows of signed bytes, kLimbs a token, and what the sums of every group start at.
//
//   kLimbs 1   INT8 codes as they are
//   kLimbs 3   floats as x = 2^-e * (65536 * high + 256 * middle + low), e one a token, so large that the largest magnitude
//              takes 23 bits: the rest is below 2^-22.99 / 2 of it. A token with a value that is not finite gives NaN.

namespace quamba2::QUAMBA2_ISA {
namespace {

template <int kLimbs>
struct ByteRows {
  const int8_t* bytes;  // [T * kLimbs][stride]
  int64_t stride;
  int32_t* starts;    // [T * kLimbs][groups]: -offset times the sum of the group's bytes
  float (*scale)[2];  // [T]: results are multiplied by both; of limbs only

  ByteRows(const Operand& x, int64_t inner, int64_t groups, char* scratch) {
    const int64_t tokens = x.values.dim[0];
    starts = reinterpret_cast<int32_t*>(scratch);
    scale = reinterpret_cast<float(*)[2]>(starts + tokens * kLimbs * groups);
    stride = kLimbs == 1 ? x.values.stride[0] : inner;
    bytes = kLimbs == 1 ? static_cast<const int8_t*>(x.values.data) : reinterpret_cast<const int8_t*>(scale + tokens);
  }
  static int64_t scratch_bytes(int64_t tokens, int64_t inner, int64_t groups) {
    return tokens * (kLimbs * groups * 4 + 8 + (kLimbs == 1 ? 0 : kLimbs * inner));
  }
};

// x[t, begin ...] as floats, and zeros up to whole vectors; how many there are.
constexpr int64_t kActivationBlock = 256;
inline int64_t decode_activation_block(const Operand& x, int64_t t, int64_t begin, int64_t inner,
                                       float (&block)[kActivationBlock]) {
  const int64_t count = smaller(kActivationBlock, inner - begin);
  decode_activations(x, t, begin, count, block);
  for (int64_t i = count; i < round_up(count, kLanes); ++i) block[i] = 0.0f;
  return count;
}

// The largest magnitude of a token; NaN where a value is not finite.
inline float largest_activation(const Operand& x, int64_t t, int64_t inner) {
  alignas(64) float block[kActivationBlock];
  F32 most = zero(), finite = zero();
  for (int64_t begin = 0; begin < inner; begin += kActivationBlock) {
    const int64_t count = decode_activation_block(x, t, begin, inner, block);
    for (int64_t i = 0; i < count; i += kLanes) {
      const F32 v = load(block + i);
      most = max(most, abs(v));
      finite = fma(v, zero(), finite);
    }
  }
  alignas(64) float lanes[kLanes];
  store(lanes, most);
  float largest = 0.0f;
  for (int i = 0; i < kLanes; ++i) largest = larger(largest, lanes[i]);
  return largest + sum(finite);
}

// The e of a token whose largest magnitude is `largest`, finite and above zero: rint(largest * 2^e) splits into limbs.
inline int limb_exponent(float largest) {
  constexpr float kMost = 127.0f * 65536 + 127 * 256 + 127;
  int e = 149;  // of denormals
  float unit = largest * 0x1p100f * 0x1p49f;
  if (largest >= 0x1p-100f) {
    e = 0;
    unit = largest;
  }
  const int shift = 22 - (static_cast<int>(bits_of_float(unit) >> 23) - 127);  // 2^22 <= unit * 2^shift < 2^23
  const float fixed = unit * float_of_bits(static_cast<uint32_t>(127 + shift / 2) << 23) *
                      float_of_bits(static_cast<uint32_t>(127 + shift - shift / 2) << 23);
  return e + shift - (fixed > kMost ? 1 : 0);
}

// 2^e as two factors: e may be beyond what one can be.
struct PowerOfTwo {
  float first, second;
  explicit PowerOfTwo(int e)
      : first(float_of_bits(static_cast<uint32_t>(127 + e / 2) << 23)),
        second(float_of_bits(static_cast<uint32_t>(127 + e - e / 2) << 23)) {}
};

// kLanes values in units of 2^-e to their limbs. Halves are added before rounding, so that no digit is 128.
QUAMBA2_INLINE void split_limbs(F32 fixed, int8_t* high, int8_t* middle, int8_t* low) {
  const F32 h = rint(mul(add(fixed, broadcast(128.5f)), broadcast(0x1p-16f)));
  const F32 rest = nfma(h, broadcast(65536.0f), fixed);
  const F32 m = rint(mul(add(rest, broadcast(0.5f)), broadcast(0x1p-8f)));
  store_i8(high, h);
  store_i8(middle, m);
  store_i8(low, nfma(m, broadcast(256.0f), rest));
}

inline void split_token(const Operand& x, int64_t t, int64_t inner, const ByteRows<3>& rows) {
  alignas(64) float block[kActivationBlock];
  alignas(64) int8_t limb[3][kActivationBlock];
  int8_t* to = const_cast<int8_t*>(rows.bytes) + 3 * t * rows.stride;
  const float largest = largest_activation(x, t, inner);
  const bool finite = largest <= 3.4e38f;
  const int e = finite && largest > 0.0f ? limb_exponent(largest) : 0;
  const PowerOfTwo up(e), down(-e);
  rows.scale[t][0] = finite ? down.first : float_of_bits(0x7fc00000u);
  rows.scale[t][1] = down.second;
  const F32 first = broadcast(up.first), second = broadcast(finite ? up.second : 0.0f);
  for (int64_t begin = 0; begin < inner; begin += kActivationBlock) {
    const int64_t count = decode_activation_block(x, t, begin, inner, block);
    for (int64_t i = 0; i < count; i += kLanes) {
      split_limbs(rint(mul(mul(load(block + i), first), second)), limb[0] + i, limb[1] + i, limb[2] + i);
    }
    for (int l = 0; l < 3; ++l) __builtin_memcpy(to + l * rows.stride + begin, limb[l], static_cast<size_t>(count));
  }
}

// Sums of the groups of a row; groups are multiples of four.
inline void start_groups(const int8_t* row, int64_t inner, int64_t group, int offset, int32_t* starts) {
  for (int64_t g = 0, begin = 0; begin < inner; ++g, begin += group) {
    const int64_t end = smaller(inner, begin + group);
    I32 total = broadcast(int32_t{0});
    int64_t k = begin;
    for (; k + 4 * kLanes <= end; k += 4 * kLanes) {
      total = dot_codes(total, broadcast(0x01010101), load(reinterpret_cast<const int32_t*>(row + k)));
    }
    alignas(64) int32_t lanes[kLanes];
    store(lanes, total);
    int32_t all = 0;
    for (int i = 0; i < kLanes; ++i) all += lanes[i];
    for (; k < end; ++k) all += row[k];
    starts[g] = -offset * all;
  }
}

template <int kLimbs>
inline void make_byte_rows(const Operand& x, int64_t t, int64_t inner, int64_t group, int offset,
                           const ByteRows<kLimbs>& rows) {
  if constexpr (kLimbs == 3) split_token(x, t, inner, rows);
  const int64_t groups = ceil_div(inner, group);
  for (int64_t r = t * kLimbs; r < (t + 1) * kLimbs; ++r) {
    start_groups(rows.bytes + r * rows.stride, inner, group, offset, rows.starts + r * groups);
  }
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
