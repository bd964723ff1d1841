// SPDX-License-Identifier: Apache-2.0
// How prepared weights are stored inside a panel of kTileColumns output channels, and decoded to f32 vectors.
//
// A format stores kStep consecutive k of one lane in kBytes bytes ("step"); a vector of a step is kLanes of them:
//
//      panel:  step 0: [ vector 0 | vector 1 ]  step 1: [ vector 0 | vector 1 ] ...
//      i4:     one 32-bit word a lane, k ascending from the low nibble
//      i6:     three words a lane, as planes [3][kLanes]: word w holds codes 5w .. 5w + 4 from bit 0, and the two top
//              bits of the three words are code 15
//
// `Pack load(p)` reads a vector of a step; `F32 next(pack)` gives its values, k ascending. `put` and `get` write and read
// the step of one lane: for re-laying and its inverse.

namespace quamba2::QUAMBA2_ISA {
namespace {

struct CodesF32 {
  using Element = float;  // what put and get exchange
  using Pack = F32;
  static constexpr int kStep = 1, kBytes = 4;
  static constexpr bool kScaled = false;
  QUAMBA2_INLINE static Pack load(const char* p) { return QUAMBA2_ISA::load(reinterpret_cast<const float*>(p)); }
  QUAMBA2_INLINE static F32 next(Pack& pack) { return pack; }
  QUAMBA2_INLINE static void put(char* vector, int lane, const float* e) { __builtin_memcpy(vector + lane * 4, e, 4); }
  QUAMBA2_INLINE static void get(const char* vector, int lane, float* e) { __builtin_memcpy(e, vector + lane * 4, 4); }
};

// f16 and bf16 keep their bits.
template <bool kBrain>
struct Codes16 {
  using Element = float;
  using Pack = F32;
  static constexpr int kStep = 1, kBytes = 2;
  static constexpr bool kScaled = false;
  QUAMBA2_INLINE static Pack load(const char* p) {
    const uint16_t* q = reinterpret_cast<const uint16_t*>(p);
    if constexpr (kBrain)
      return load_bf16(q);
    else
      return load_f16(q);
  }
  QUAMBA2_INLINE static F32 next(Pack& pack) { return pack; }
  QUAMBA2_INLINE static void put(char* vector, int lane, const float* e) {
    const uint16_t bits = kBrain ? float_to_bf16(*e) : float_to_f16(*e);  // exact: the source had this type
    __builtin_memcpy(vector + lane * 2, &bits, 2);
  }
  QUAMBA2_INLINE static void get(const char* vector, int lane, float* e) {
    *e = load_float(vector, kBrain ? DType::kBF16 : DType::kF16, lane);
  }
};

struct CodesI8 {
  using Element = int8_t;
  using Pack = F32;
  static constexpr int kStep = 1, kBytes = 1;
  static constexpr bool kScaled = true;
  QUAMBA2_INLINE static Pack load(const char* p) { return load_i8(reinterpret_cast<const int8_t*>(p)); }
  QUAMBA2_INLINE static F32 next(Pack& pack) { return pack; }
  QUAMBA2_INLINE static void put(char* vector, int lane, const int8_t* e) { vector[lane] = static_cast<char>(*e); }
  QUAMBA2_INLINE static void get(const char* vector, int lane, int8_t* e) { *e = static_cast<int8_t>(vector[lane]); }
};

struct CodesI4 {
  using Element = int8_t;
  struct Pack {
    I32 word;
    int used;  // known at compile time once loops are unrolled
  };
  static constexpr int kStep = 8, kBytes = 4;
  static constexpr bool kScaled = true;
  QUAMBA2_INLINE static Pack load(const char* p) { return {QUAMBA2_ISA::load(reinterpret_cast<const int32_t*>(p)), 0}; }
  // Without a look-up: bits [4q, 4q + 4) of a word, set into the mantissa of 2^(23 - 4q), give 2^(23 - 4q) + code, with
  // neither shift nor conversion (12.3 against 9.4 GB/s of codes a thread on Zen 4; the look-up of AVX-512 reaches 17).
  QUAMBA2_INLINE static F32 next(Pack& pack) {
    if constexpr (kLanes == 16) {
      const F32 value = nibble(pack.word);
      pack.word = shift_right<4>(pack.word);
      return value;
    }
    if (pack.used == 4) pack.word = shift_right<16>(pack.word);
    const int q = pack.used++ & 3;
    if (q == 0) return nibble(pack.word);
    const float magic = static_cast<float>(1 << (23 - 4 * q));
    return sub(merge_bits(pack.word, 15 << (4 * q), magic), broadcast(magic + 8.0f));
  }
  QUAMBA2_INLINE static void put(char* vector, int lane, const int8_t* e) {
    uint32_t word = 0;
    for (int j = 0; j < kStep; ++j) word |= static_cast<uint32_t>(e[j] + 8) << (4 * j);
    __builtin_memcpy(vector + lane * 4, &word, 4);
  }
  QUAMBA2_INLINE static void get(const char* vector, int lane, int8_t* e) {
    const uint32_t word = load_as<uint32_t>(vector, lane);
    for (int j = 0; j < kStep; ++j) e[j] = static_cast<int8_t>(static_cast<int>((word >> (4 * j)) & 15u) - 8);
  }
};

struct CodesI6 {
  using Element = int8_t;
  struct Pack {
    I32 word[3];
    int used;  // known at compile time once loops are unrolled
  };
  static constexpr int kStep = 16, kBytes = 12;
  static constexpr bool kScaled = true;
  QUAMBA2_INLINE static Pack load(const char* p) {
    const int32_t* q = reinterpret_cast<const int32_t*>(p);
    return {{QUAMBA2_ISA::load(q), QUAMBA2_ISA::load(q + kLanes), QUAMBA2_ISA::load(q + 2 * kLanes)}, 0};
  }
  QUAMBA2_INLINE static F32 next(Pack& pack) {
    const int w = pack.used++ / 5;
    if (w == 3) {  // only the top bits are left
      pack.word[w - 3] = bit_or(pack.word[0], bit_or(shift_left<2>(pack.word[1]), shift_left<4>(pack.word[2])));
    }
    I32& word = pack.word[w == 3 ? 0 : w];
    const F32 value = sub(to_f32(bit_and(word, broadcast(63))), broadcast(32.0f));
    word = shift_right<6>(word);
    return value;
  }
  QUAMBA2_INLINE static void put(char* vector, int lane, const int8_t* e) {
    const uint32_t last = static_cast<uint32_t>(e[15] + 32);
    for (int w = 0; w < 3; ++w) {
      uint32_t word = ((last >> (2 * w)) & 3u) << 30;
      for (int j = 0; j < 5; ++j) word |= static_cast<uint32_t>(e[5 * w + j] + 32) << (6 * j);
      __builtin_memcpy(vector + (w * kLanes + lane) * 4, &word, 4);
    }
  }
  QUAMBA2_INLINE static void get(const char* vector, int lane, int8_t* e) {
    uint32_t last = 0;
    for (int w = 0; w < 3; ++w) {
      const uint32_t word = load_as<uint32_t>(vector, w * kLanes + lane);
      for (int j = 0; j < 5; ++j) e[5 * w + j] = static_cast<int8_t>(static_cast<int>((word >> (6 * j)) & 63u) - 32);
      last |= (word >> 30) << (2 * w);
    }
    e[15] = static_cast<int8_t>(static_cast<int>(last) - 32);
  }
};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
