// SPDX-License-Identifier: Apache-2.0
// What the machine can do now, measured: the denominators of every speed that we print. Each takes about 0.1 s.
#pragma once

#include <cstddef>

#include "base/memory.h"

namespace quamba2 {

// Reads one buffer of `bytes` with `threads` threads, each its part, again and again: small buffers measure caches. It is kept,
// so that reading can be measured between other measurements: what memory gives on a shared machine changes with time.
class ReadProbe {
 public:
  ReadProbe(int threads, size_t bytes);
  double measure() const;  // bytes a second, best of several rounds

 private:
  int threads_;
  size_t share_;  // bytes a thread
  AlignedBuffer buffer_;
};
double measure_read_bandwidth(int threads, size_t bytes);

// f32 operations a second (a fused multiply-add counts two) of the level in use.
double measure_fma_peak(int threads);

// 8-bit integer operations a second (a multiply-add counts two) of the level in use: tiles where there is AMX, vpdpbusd where there is VNNI.
double measure_vnni_peak(int threads);

}  // namespace quamba2
