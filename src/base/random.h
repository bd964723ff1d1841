// SPDX-License-Identifier: Apache-2.0
// A counter-based random generator: value i of a stream depends on (seed, i) alone, so that streams are reproducible
// on every machine and can be entered anywhere.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/host_device.h"

namespace quamba2 {

class Random {
 public:
  QUAMBA2_HOST_DEVICE explicit Random(uint64_t seed, uint64_t counter = 0)
      : seed_(mix(seed + kGolden)), counter_(counter) {}

  QUAMBA2_HOST_DEVICE uint64_t next() { return mix(seed_ + kGolden * ++counter_); }
  QUAMBA2_HOST_DEVICE double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // [0, 1)
  int64_t below(int64_t n) { return static_cast<int64_t>(uniform() * static_cast<double>(n)); }
  double normal() {
    const double u = 1.0 - uniform();  // (0, 1]
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * uniform());
  }
  uint64_t counter() const { return counter_; }

 private:
  static constexpr uint64_t kGolden = 0x9e3779b97f4a7c15ull;
  QUAMBA2_HOST_DEVICE static uint64_t mix(uint64_t z) {  // the finalizer of SplitMix64 (Steele, Lea, Flood 2014)
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  uint64_t seed_, counter_;
};

}  // namespace quamba2
