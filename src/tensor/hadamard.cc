// SPDX-License-Identifier: Apache-2.0
#include "tensor/hadamard.h"

#include <array>
#include <cmath>

#include "base/check.h"
#include "tensor/hadamard_core.h"

namespace quamba2 {
namespace {

constexpr int kLargestCore = 28;

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
