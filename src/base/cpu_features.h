// SPDX-License-Identifier: Apache-2.0
// What the processor can do, asked once.
#pragma once

#include <string>

namespace quamba2 {

struct CpuFeatures {
  bool avx2 = false;         // AVX2, FMA and F16C
  bool avx512 = false;       // F, BW, DQ, VL
  bool avx512_vnni = false;  // vpdpbusd
  bool avx512_bf16 = false;
  std::string name;  // brand string
};

const CpuFeatures& cpu_features();

}  // namespace quamba2
