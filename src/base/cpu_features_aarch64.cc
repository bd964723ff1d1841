// SPDX-License-Identifier: Apache-2.0
// Linux says what an Arm processor can do in the auxiliary vector; programs cannot ask the processor itself.
#include <asm/hwcap.h>
#include <sys/auxv.h>

#include <cstdint>
#include <cstdio>

#include "base/cpu_features.h"

namespace quamba2 {
namespace {

// There is no brand string. Linux lets programs read the main identification register where HWCAP_CPUID says so.
std::string identification(unsigned long hwcap) {
  if ((hwcap & HWCAP_CPUID) == 0) return "64-bit Arm";
  uint64_t midr;
  asm("mrs %0, midr_el1" : "=r"(midr));
  char text[64];
  std::snprintf(text, sizeof(text), "64-bit Arm, implementer 0x%02x, part 0x%03x",
                static_cast<unsigned>(midr >> 24 & 0xff), static_cast<unsigned>(midr >> 4 & 0xfff));
  return text;
}

}  // namespace

CpuFeatures detect_cpu_features() {
  const unsigned long hwcap = getauxval(AT_HWCAP), hwcap2 = getauxval(AT_HWCAP2);
  CpuFeatures f;
  f.arm_dotprod = (hwcap & HWCAP_ASIMDDP) != 0;
  f.arm_i8mm = f.arm_dotprod && (hwcap2 & HWCAP2_I8MM) != 0;
  f.name = identification(hwcap);
  return f;
}

}  // namespace quamba2
