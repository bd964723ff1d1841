// SPDX-License-Identifier: Apache-2.0
#include "api/engine_impl.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cuda/cuda_backend.h"
#include "backends/reference/reference.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

[[noreturn]] void unknown_device(const std::string& device) {
  throw Error(ErrorCode::kUsage, "unknown device", device, "it is none of cpu, cuda:0 (or 1, 2, ...), reference",
              "use --device cpu");
}

// "cuda" means the first.
int cuda_index(const std::string& device) {
  if (device == "cuda") return 0;
  const std::string digits = device.rfind("cuda:", 0) == 0 ? device.substr(5) : "";
  if (digits.empty() || digits.size() > 3 || digits.find_first_not_of("0123456789") != std::string::npos)
    unknown_device(device);
  return std::stoi(digits);
}

}  // namespace

std::shared_ptr<const Backend> make_backend(const std::string& device, int threads) {
  if (threads < 0 || threads > 1024) {
    throw Error(ErrorCode::kUsage, "threads out of range", std::to_string(threads),
                "1 to 1024, or 0 for all, are possible");
  }
  if (device == "cpu") return make_cpu_backend(threads);
  if (device == "reference") return make_reference_backend();
  if (device.rfind("cuda", 0) == 0) return make_cuda_backend(cuda_index(device));
  unknown_device(device);
}

}  // namespace quamba2
