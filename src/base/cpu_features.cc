// SPDX-License-Identifier: Apache-2.0
#include "base/cpu_features.h"

namespace quamba2 {

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect_cpu_features();
  return features;
}

}  // namespace quamba2
