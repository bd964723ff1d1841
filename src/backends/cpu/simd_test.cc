// SPDX-License-Identifier: Apache-2.0
// The Simd vocabulary against double precision and tensor/convert.h, for every level of this processor. The error limits
// of math.inl.h are these.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backends/cpu/isa/simd_probe.h"
#include "base/cpu_features.h"
#include "tensor/convert.h"

namespace quamba2 {
namespace {

std::vector<const SimdProbe*> probes() {
  std::vector<const SimdProbe*> all = {&kScalarSimdProbe};
#if defined(__x86_64__)
  if (cpu_features().avx2) all.push_back(&kAvx2SimdProbe);
  if (cpu_features().avx512) all.push_back(&kAvx512SimdProbe);
#elif defined(__aarch64__)
  all.push_back(&kNeonSimdProbe);
#endif
  return all;
}

float float_of(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

// Every 97th finite float in [low, high], and both ends.
std::vector<float> floats_between(float low, float high) {
  std::vector<float> all = {low, high, 0.0f, -0.0f};
  for (uint64_t bits = 0; bits < 0x100000000ull; bits += 97) {
    const float f = float_of(static_cast<uint32_t>(bits));
    if (f >= low && f <= high) all.push_back(f);
  }
  return all;
}

// In units in the last place of the exact result; results below the smallest normal number count in units of 2^-149,
// or of `floor` where that is larger.
double ulps(float got, double exact, double floor = 0x1p-149) {
  if (std::isnan(got)) return 1e30;
  if (std::abs(exact) > std::numeric_limits<float>::max()) {
    const double rounds_up = std::ldexp(2 - 0x1p-23, 127);
    return std::isinf(got) || exact < rounds_up * (1 + 0x1p-22) ? 0 : 1e30;
  }
  const double unit = std::max({std::ldexp(1.0, std::ilogb(exact == 0 ? 0x1p-149 : exact) - 23), 0x1p-149, floor});
  return std::abs(static_cast<double>(got) - exact) / unit;
}

template <class Exact>
double worst(const char* name, void (*f)(const float*, float*, int64_t), const std::vector<float>& in, Exact exact,
             double floor = 0x1p-149) {
  std::vector<float> out(in.size());
  f(in.data(), out.data(), static_cast<int64_t>(in.size()));
  double most = 0, at = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const double u = ulps(out[i], exact(static_cast<double>(in[i])), floor);
    if (u > most) {
      most = u;
      at = in[i];
    }
  }
  ::testing::Test::RecordProperty(name, std::to_string(most));
  std::printf("[     ulp  ] %s: %.2f at %g\n", name, most, at);
  return most;
}

TEST(SlowSimd, FunctionsAreAccurate) {
  const std::vector<float> finite =
      floats_between(-std::numeric_limits<float>::max(), std::numeric_limits<float>::max());
  const std::vector<float> unit = floats_between(0.0f, 1.0f);
  for (const SimdProbe* p : probes()) {
    std::printf("[  level   ] %s\n", p->name);
    EXPECT_LE(worst("exp", p->exp, finite, [](double x) { return std::exp(x); }), 1.1) << p->name;
    EXPECT_LE(worst("log1p", p->log1p, unit, [](double x) { return std::log1p(x); }), 2.0) << p->name;
    const auto softplus = [](double x) { return x > 20 ? x : std::log1p(std::exp(x)); };
    EXPECT_LE(worst("softplus", p->softplus, finite, softplus), 2.7) << p->name;
    // Below about -87 e^-|x| is denormal and x times it as coarse: errors count in units of 100 * 2^-149 there.
    const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
    EXPECT_LE(worst("silu", p->silu, finite, silu, 100 * 0x1p-149), 3.1) << p->name;
  }
}

TEST(Simd, SpecialValues) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> in = {inf, -inf, nan, 0.0f, 89.0f, -150.0f, 20.5f, -200.0f};
  std::vector<float> out(in.size());
  for (const SimdProbe* p : probes()) {
    p->exp(in.data(), out.data(), 8);
    EXPECT_EQ(out[0], inf);
    EXPECT_EQ(out[1], 0.0f);
    EXPECT_TRUE(std::isnan(out[2]));
    EXPECT_EQ(out[3], 1.0f);
    EXPECT_EQ(out[4], inf);
    EXPECT_EQ(out[5], 0.0f);
    p->softplus(in.data(), out.data(), 8);
    EXPECT_EQ(out[0], inf);
    EXPECT_EQ(out[1], 0.0f);
    EXPECT_TRUE(std::isnan(out[2])) << p->name;
    EXPECT_EQ(out[6], 20.5f);
    EXPECT_EQ(out[7], 0.0f);
    p->silu(in.data(), out.data(), 8);
    EXPECT_EQ(out[0], inf);
    EXPECT_TRUE(std::isnan(out[2]));
    EXPECT_EQ(out[3], 0.0f);
    float two[2];
    std::vector<float> vector(static_cast<size_t>(p->lanes));
    for (int i = 0; i < p->lanes; ++i) vector[static_cast<size_t>(i)] = static_cast<float>(i * (i % 2 ? 1 : -1));
    p->reduce(vector.data(), two);
    EXPECT_EQ(two[0], static_cast<float>(p->lanes / 2));
    EXPECT_EQ(two[1], static_cast<float>(p->lanes - 1));
  }
}

TEST(Simd, Conversions) {
  std::vector<uint16_t> halves(65536), back(65536);
  std::vector<float> wide(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  const auto same = [](float a, float b) { return std::isnan(a) ? std::isnan(b) : std::memcmp(&a, &b, 4) == 0; };
  for (const SimdProbe* p : probes()) {
    for (int64_t n : {65536, 5, 3}) {  // the last in part of a vector
      p->load_f16(halves.data(), wide.data(), n);
      for (int64_t i = 0; i < n; ++i)
        ASSERT_TRUE(same(wide[static_cast<size_t>(i)], f16_to_f32(halves[static_cast<size_t>(i)]))) << p->name << i;
      p->load_bf16(halves.data(), wide.data(), n);
      for (int64_t i = 0; i < n; ++i)
        ASSERT_TRUE(same(wide[static_cast<size_t>(i)], bf16_to_f32(halves[static_cast<size_t>(i)])));
    }
    std::vector<float> in;
    for (uint64_t bits = 0; bits < 0x100000000ull; bits += 4099) in.push_back(float_of(static_cast<uint32_t>(bits)));
    for (int i = 0; i < 65536; ++i) in.push_back(f16_to_f32(static_cast<uint16_t>(i)) * 1.00048828125f);  // near ties
    std::vector<uint16_t> out(in.size());
    p->store_f16(in.data(), out.data(), static_cast<int64_t>(in.size()));
    for (size_t i = 0; i < in.size(); ++i) {
      if (std::isnan(in[i])) continue;
      ASSERT_EQ(out[i], f32_to_f16(in[i])) << p->name << " " << in[i];
    }
    p->store_bf16(in.data(), out.data(), static_cast<int64_t>(in.size()));
    for (size_t i = 0; i < in.size(); ++i) ASSERT_EQ(out[i], f32_to_bf16(in[i])) << p->name << " " << in[i];
    std::vector<int8_t> codes(in.size());
    p->store_i8(in.data(), codes.data(), static_cast<int64_t>(in.size()));
    for (size_t i = 0; i < in.size(); ++i) {
      const double want = std::isnan(in[i]) ? 0 : std::clamp(std::nearbyint(static_cast<double>(in[i])), -128.0, 127.0);
      ASSERT_EQ(codes[i], static_cast<int>(want)) << p->name << " " << in[i];
    }
  }
}

TEST(Simd, PartialStoresWriteNothingElse) {
  const std::vector<float> in(16, 3.0f);
  for (const SimdProbe* p : probes()) {
    for (int n = 0; n <= p->lanes; ++n) {
      std::vector<int8_t> codes(40, 77);
      p->store_i8(in.data(), codes.data() + 3, n);
      std::vector<uint16_t> halves(40, 0x1234);
      p->store_f16(in.data(), halves.data() + 3, n);
      std::vector<float> floats(40, 9.0f);
      p->load_i8(codes.data() + 3, floats.data() + 3, n);
      for (int i = 0; i < 40; ++i) {
        const bool inside = i >= 3 && i < 3 + n;
        ASSERT_EQ(codes[static_cast<size_t>(i)], inside ? 3 : 77);
        ASSERT_EQ(halves[static_cast<size_t>(i)], inside ? f32_to_f16(3.0f) : 0x1234);
        ASSERT_EQ(floats[static_cast<size_t>(i)], inside ? 3.0f : 9.0f);
      }
    }
  }
}

}  // namespace
}  // namespace quamba2
