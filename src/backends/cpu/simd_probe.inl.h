// SPDX-License-Identifier: Apache-2.0
// Definition of isa/simd_probe.h for one level.
#include "backends/cpu/isa/simd_probe.h"
#include "backends/cpu/math.inl.h"

namespace quamba2::QUAMBA2_ISA {
namespace {

// Loads a vector, or its first n lanes, applies, and stores.
#define QUAMBA2_PROBE(name, In, Out, load_word, apply, store_word)                      \
  inline void probe_##name(const In* in, Out* out, int64_t n) {                         \
    int64_t i = 0;                                                                      \
    for (; i + kLanes <= n; i += kLanes) store_word(out + i, apply(load_word(in + i))); \
    const int rest = static_cast<int>(n - i);                                           \
    if (rest > 0) store_word##_n(out + i, apply(load_word##_n(in + i, rest)), rest);    \
  }

QUAMBA2_INLINE F32 same(F32 a) { return a; }
QUAMBA2_PROBE(exp, float, float, load, exp, store)
QUAMBA2_PROBE(log1p, float, float, load, log1p_unit, store)
QUAMBA2_PROBE(softplus, float, float, load, softplus, store)
QUAMBA2_PROBE(silu, float, float, load, silu, store)
QUAMBA2_PROBE(store_i8, float, int8_t, load, same, store_i8)
QUAMBA2_PROBE(store_f16, float, uint16_t, load, same, store_f16)
QUAMBA2_PROBE(store_bf16, float, uint16_t, load, same, store_bf16)
QUAMBA2_PROBE(load_i8, int8_t, float, load_i8, same, store)
QUAMBA2_PROBE(load_f16, uint16_t, float, load_f16, same, store)
QUAMBA2_PROBE(load_bf16, uint16_t, float, load_bf16, same, store)
#undef QUAMBA2_PROBE

inline void probe_reduce(const float* in, float* out) {
  out[0] = sum(load(in));
  out[1] = max_of(load(in));
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA

namespace quamba2 {

extern constinit const SimdProbe QUAMBA2_ISA_PROBE = {
    QUAMBA2_ISA_NAME,
    QUAMBA2_ISA::kLanes,
    QUAMBA2_ISA::probe_exp,
    QUAMBA2_ISA::probe_log1p,
    QUAMBA2_ISA::probe_softplus,
    QUAMBA2_ISA::probe_silu,
    QUAMBA2_ISA::probe_store_i8,
    QUAMBA2_ISA::probe_store_f16,
    QUAMBA2_ISA::probe_store_bf16,
    QUAMBA2_ISA::probe_load_i8,
    QUAMBA2_ISA::probe_load_f16,
    QUAMBA2_ISA::probe_load_bf16,
    QUAMBA2_ISA::probe_reduce,
};

}  // namespace quamba2
