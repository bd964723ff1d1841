// SPDX-License-Identifier: Apache-2.0
#include "tensor/hadamard.h"

#include <array>
#include <cmath>

#include "base/check.h"

namespace quamba2 {
namespace {

constexpr int kLargestCore = 28;

// 1 for a non-zero square modulo the prime q, 0 for zero, -1 otherwise.
int legendre(int a, int q) {
  a = ((a % q) + q) % q;
  if (a == 0) return 0;
  for (int b = 1; b < q; ++b) {
    if (b * b % q == a) return 1;
  }
  return -1;
}

// Paley's first construction, q = 3 modulo 4, order q + 1: I + S, where S is skew: a row and a column of ones around
// the matrix of legendre(i - j).
template <int m>
std::array<int8_t, m * m> paley_first() {
  std::array<int8_t, m * m> h{};
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < m; ++j) {
      const int skew = i == j ? 1 : i == 0 ? 1 : j == 0 ? -1 : legendre(i - j, m - 1);
      h[static_cast<size_t>(i * m + j)] = static_cast<int8_t>(skew);
    }
  }
  return h;
}

// Paley's second construction, q = 1 modulo 4, order 2 (q + 1): of the symmetric conference matrix C, zeros become
// [1 -1; -1 -1] and c = +-1 becomes c [1 1; 1 -1].
template <int m>
std::array<int8_t, m * m> paley_second() {
  constexpr int kHalf = m / 2, kZero[2][2] = {{1, -1}, {-1, -1}}, kOne[2][2] = {{1, 1}, {1, -1}};
  std::array<int8_t, m * m> h{};
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < m; ++j) {
      const int a = i / 2, b = j / 2;
      const int c = a == b ? 0 : a == 0 || b == 0 ? 1 : legendre(a - b, kHalf - 1);
      const int value = c == 0 ? kZero[i % 2][j % 2] : c * kOne[i % 2][j % 2];
      h[static_cast<size_t>(i * m + j)] = static_cast<int8_t>(value);
    }
  }
  return h;
}

// x <- Sylvester(n) x.
template <class T>
void butterflies(T* x, int64_t n) {
  for (int64_t half = 1; half < n; half *= 2) {
    for (int64_t begin = 0; begin < n; begin += 2 * half) {
      for (int64_t j = begin; j < begin + half; ++j) {
        const T a = x[j], b = x[j + half];
        x[j] = a + b;
        x[j + half] = a - b;
      }
    }
  }
}

template <class T>
void transform(T* x, int64_t n, bool transposed) {
  QUAMBA2_CHECK(has_hadamard(n), "no Hadamard matrix of order " + std::to_string(n));
  const int m = hadamard_core_order(n);
  const int64_t run = n / m;
  for (int i = 0; i < m; ++i) butterflies(x + i * run, run);
  const int8_t* core = hadamard_core(m);
  const T scale = static_cast<T>(1.0 / std::sqrt(static_cast<double>(n)));
  for (int64_t j = 0; j < run; ++j) {
    T column[kLargestCore];
    for (int l = 0; l < m; ++l) column[l] = x[l * run + j];
    for (int i = 0; i < m; ++i) {
      T sum = 0;
      for (int l = 0; l < m; ++l) sum += static_cast<T>(transposed ? core[l * m + i] : core[i * m + l]) * column[l];
      x[i * run + j] = sum * scale;
    }
  }
}

}  // namespace

int hadamard_core_order(int64_t n) {
  if (n < 1) return 0;
  int64_t odd = n;
  while (odd % 2 == 0) odd /= 2;
  if (odd == 1) return 1;
  return odd <= 7 && n % 4 == 0 ? static_cast<int>(4 * odd) : 0;
}

bool has_hadamard(int64_t n) { return hadamard_core_order(n) > 0; }

const int8_t* hadamard_core(int m) {
  static constexpr int8_t kOne = 1;
  static const auto twelve = paley_first<12>();
  static const auto twenty = paley_first<20>();
  static const auto twenty_eight = paley_second<28>();
  switch (m) {
    case 1: return &kOne;
    case 12: return twelve.data();
    case 20: return twenty.data();
    case 28: return twenty_eight.data();
    default: return nullptr;
  }
}

void hadamard_transform(double* x, int64_t n, bool transposed) { transform(x, n, transposed); }
void hadamard_transform(float* x, int64_t n, bool transposed) { transform(x, n, transposed); }

}  // namespace quamba2
