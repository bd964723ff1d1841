// SPDX-License-Identifier: Apache-2.0
// What the machine can do now, measured: the denominators of every speed that we print. Each takes about 0.1 s.
#pragma once

#include <cstddef>

namespace quamba2 {

// Bytes a second that `threads` threads read from one buffer of `bytes`, each its part, again and again: small buffers
// measure caches. Best of several rounds.
double measure_read_bandwidth(int threads, size_t bytes);

// f32 operations a second (a fused multiply-add counts two) of the best level.
double measure_fma_peak(int threads);

// 8-bit integer operations a second (a multiply-add counts two) of the best level: vpdpbusd where there is VNNI.
double measure_vnni_peak(int threads);

}  // namespace quamba2
