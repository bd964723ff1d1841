// SPDX-License-Identifier: Apache-2.0
// What the processor can do, asked once. One source a kind of processor: cpu_features_<processor>.cc.
#pragma once

#include <string>

namespace quamba2 {

struct CpuFeatures {
  bool avx2 = false;         // AVX2, FMA and F16C
  bool avx512 = false;       // F, BW, DQ, VL
  bool avx512_vnni = false;  // vpdpbusd
  bool avx512_bf16 = false;
  bool amx_int8 = false;     // tiles of i8, and AVX-512 with VNNI; the operating system lets this process use them
  bool arm_dotprod = false;  // SDOT
  bool arm_i8mm = false;     // SMMLA, and SDOT
  std::string name;          // brand string, or what identifies it
};

const CpuFeatures& cpu_features();
// The same, asked anew: what cpu_features_<processor>.cc gives.
CpuFeatures detect_cpu_features();

}  // namespace quamba2
