// SPDX-License-Identifier: Apache-2.0
// Hadamard matrices that are no powers of two, by Paley's constructions, at compile time. Safe to include in device code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace quamba2 {

// 1 for a non-zero square modulo the prime q, 0 for zero, -1 otherwise.
constexpr int legendre(int a, int q) {
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
constexpr std::array<int8_t, m * m> paley_first() {
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
constexpr std::array<int8_t, m * m> paley_second() {
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

// Row i of H_m has -1 where bit l of minus[i] is set.
template <int m>
struct CoreSigns {
  uint32_t minus[m];
};
template <int m>
constexpr CoreSigns<m> core_signs() {
  const std::array<int8_t, m * m> core = [] {
    if constexpr (m == 28) {
      return paley_second<m>();
    } else {
      return paley_first<m>();
    }
  }();
  CoreSigns<m> signs{};
  for (int i = 0; i < m; ++i) {
    for (int l = 0; l < m; ++l) {
      if (core[static_cast<size_t>(i * m + l)] < 0) signs.minus[i] |= 1u << l;
    }
  }
  return signs;
}

template <int m>
inline constexpr CoreSigns<m> kCoreSigns = core_signs<m>();

}  // namespace quamba2
