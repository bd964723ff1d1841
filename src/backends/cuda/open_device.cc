// SPDX-License-Identifier: Apache-2.0
// In builds with CUDA.
#include "backends/cuda/cuda_backend.h"
#include "backends/cuda/runtime_api.h"
#include "backends/cuda/step_compile.h"
#include "backends/cuda/table.h"
#include "backends/cuda/token_compile.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

const KernelTable& choose_table(const DeviceSpec& spec) {
  const int32_t architecture = spec.architecture;
  if (has_cuda_table(architecture)) return cuda_table(architecture);
  throw Error(ErrorCode::kResource, "no kernels for this GPU", spec.name,
              "it has compute capability " + std::to_string(architecture / 10) + "." +
                  std::to_string(architecture % 10) + ", this build has kernels for " + cuda_architectures(),
              architecture < 80 ? "use --device cpu"
                                : "build with -DQUAMBA2_CUDA_ARCHITECTURES=" + std::to_string(architecture) +
                                      ", or use --device cpu");
}

std::unique_ptr<Program> compile_program(ProgramSteps steps, Device& device, const DeviceSpec& spec, void* stream) {
  auto program = compile_token_program(steps, device, spec, stream);
  return program ? std::move(program) : compile_step_program(steps, device, spec, stream);
}

}  // namespace

std::shared_ptr<Backend> make_cuda_backend(int index) {
  return make_cuda_backend(runtime_api(), index, choose_table, compile_program);
}

}  // namespace quamba2
