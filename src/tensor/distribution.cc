// SPDX-License-Identifier: Apache-2.0
#include "tensor/distribution.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace quamba2 {
namespace {

constexpr int kBlock = 64;

// exp for x <= 0, relative error below 3e-7, 0 below -87. Written so that compilers vectorize a loop over it.
inline float exp_not_positive(float x) {
  x = std::max(x, -87.0f);
  const float n = std::nearbyintf(x * 1.44269504f);
  const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  float p = 1.3888889e-3f;
  p = p * r + 8.3333333e-3f;
  p = p * r + 4.1666667e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return p * scale;
}

// In 16 chains, as one would wait for each comparison.
float largest(const float* x, int64_t n) {
  float part[16], m = -std::numeric_limits<float>::infinity();
  std::fill_n(part, 16, m);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int j = 0; j < 16; ++j) part[j] = x[i + j] > part[j] ? x[i + j] : part[j];
  }
  for (; i < n; ++i) m = x[i] > m ? x[i] : m;
  for (const float v : part) m = v > m ? v : m;
  return m;
}

}  // namespace

double log_sum_exp(const float* x, int64_t n) {
  const float m = largest(x, n);
  if (!std::isfinite(m)) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t end = std::min(n, i + kBlock);
    float part[16] = {};
    int64_t k = i;
    for (; k + 16 <= end; k += 16) {
      for (int j = 0; j < 16; ++j) part[j] += exp_not_positive(x[k + j] - m);
    }
    for (; k < end; ++k) part[0] += exp_not_positive(x[k] - m);
    float block = 0;
    for (float v : part) block += v;
    sum += block;
  }
  return m + std::log(sum);
}

double kl_divergence(const float* a, double lse_a, const float* b, double lse_b, int64_t n) {
  const auto la = static_cast<float>(lse_a), shift = static_cast<float>(lse_b - lse_a);
  double sum = 0;
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t end = std::min(n, i + kBlock);
    float block = 0;
    for (int64_t k = i; k < end; ++k) {
      const float p = exp_not_positive(std::min(a[k] - la, 0.0f));
      block += p * ((a[k] - b[k]) + shift);
    }
    sum += block;
  }
  return std::max(sum, 0.0);
}

int64_t argmax(const float* x, int64_t n) {
  constexpr int64_t kPart = 1024;  // is still in the first cache where it is searched
  float m = -std::numeric_limits<float>::infinity();
  int64_t at = 0;
  for (int64_t i = 0; i < n; i += kPart) {
    const int64_t end = std::min(n, i + kPart);
    const float here = largest(x + i, end - i);
    if (!(here > m)) continue;
    m = here;
    at = i;
    while (x[at] != here) ++at;
  }
  if (m > -std::numeric_limits<float>::infinity()) return at;
  const float* lowest = std::find(x, x + n, m);
  return lowest == x + n ? 0 : lowest - x;
}

bool has_nan(const float* x, int64_t n) {
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t end = std::min(n, i + kBlock);
    int32_t found = 0;
    for (int64_t k = i; k < end; ++k) found |= x[k] != x[k];
    if (found) return true;
  }
  return false;
}

}  // namespace quamba2
