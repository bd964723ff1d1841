// SPDX-License-Identifier: Apache-2.0
#include "api/engine_impl.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/reference/reference.h"
#include "quamba2/error.h"

namespace quamba2 {

std::shared_ptr<const Backend> make_backend(const std::string& device, int threads) {
  if (threads < 0 || threads > 1024) {
    throw Error(ErrorCode::kUsage, "threads out of range", std::to_string(threads),
                "1 to 1024, or 0 for all, are possible");
  }
  if (device == "cpu") return make_cpu_backend(threads);
  if (device == "reference") return make_reference_backend();
  if (device.rfind("cuda", 0) == 0) {
    throw Error(ErrorCode::kResource, "no such device", device, "this build has no CUDA back end", "use --device cpu");
  }
  throw Error(ErrorCode::kUsage, "unknown device", device, "it is none of cpu, reference", "use --device cpu");
}

}  // namespace quamba2
