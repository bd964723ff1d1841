// SPDX-License-Identifier: Apache-2.0
// Stands in for quamba2::bench until src/api has it: linked last, so that the real one wins. TODO: remove then.
#include "quamba2/error.h"
#include "quamba2/evaluate.h"

namespace quamba2 {

BenchReport bench(Engine&, const BenchOptions&) {
  throw Error(ErrorCode::kRuntime, "cannot measure", "bench", "this build of the library has no benchmark yet");
}

}  // namespace quamba2
