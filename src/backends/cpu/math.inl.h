// SPDX-License-Identifier: Apache-2.0
// exp, softplus and silu over the Simd vocabulary. Errors are against exact arithmetic, as measured by simd_test.cc.

namespace quamba2::QUAMBA2_ISA {
namespace {

// e^x: at most 1.1 ulp for every x, denormal results included; 0 below -104, infinity above 88.73, NaN for NaN.
// x = n ln 2 + r with |r| <= ln 2 / 2, e^r = 1 + r + r^2 p(r), p interpolated at Chebyshev nodes (error 2^-26.5).
QUAMBA2_INLINE F32 exp(F32 x) {
  const F32 in = min(broadcast(89.0f), max(broadcast(-105.0f), x));
  const F32 n = rint(mul(in, broadcast(0x1.715476p+0f)));
  F32 r = nfma(n, broadcast(0x1.62e4p-1f), in);  // 15 bits of ln 2: the product is exact on every level
  r = nfma(n, broadcast(0x1.7f7d1cp-20f), r);
  F32 p = broadcast(0x1.6d117cp-10f);
  p = fma(p, r, broadcast(0x1.120be2p-7f));
  p = fma(p, r, broadcast(0x1.555518p-5f));
  p = fma(p, r, broadcast(0x1.5554dcp-3f));
  p = fma(p, r, broadcast(0.5f));
  return scale2(add(fma(mul(r, r), p, r), broadcast(1.0f)), n);
}

// log(1 + u) for 0 <= u <= 1: at most 2 ulp. With s = u / (2 + u) it is 2 atanh(s) = 2 s (1 + s^2 q(s^2)), s^2 <= 1/9.
QUAMBA2_INLINE F32 log1p_unit(F32 u) {
  const F32 s = div(u, add(u, broadcast(2.0f))), t = mul(s, s);
  F32 q = broadcast(0x1.dba26p-4f);
  q = fma(q, t, broadcast(0x1.bc8cf8p-4f));
  q = fma(q, t, broadcast(0x1.24c926p-3f));
  q = fma(q, t, broadcast(0x1.9998d4p-3f));
  q = fma(q, t, broadcast(0x1.555556p-2f));
  const F32 twice = add(s, s);
  return fma(mul(twice, t), q, twice);
}

// log(1 + e^x): at most 2.7 ulp down to the denormals; the identity above 20, where it differs by less than half an ulp.
QUAMBA2_INLINE F32 softplus(F32 x) {
  const F32 y = add(max(zero(), x), log1p_unit(exp(sub(zero(), abs(x)))));
  return if_less(broadcast(20.0f), x, x, y);
}

// x / (1 + e^-x): at most 3.1 ulp above -87, and 100 * 2^-149 below. Written with e^-|x| so that nothing overflows.
QUAMBA2_INLINE F32 silu(F32 x) {
  const F32 e = exp(sub(zero(), abs(x)));
  const F32 numerator = mul(x, if_less(x, zero(), e, broadcast(1.0f)));
  return div(numerator, add(e, broadcast(1.0f)));
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
