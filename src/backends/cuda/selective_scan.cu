// SPDX-License-Identifier: Apache-2.0
// selective_scan: the row of the table, and which kernel a call takes.
#include "backends/cuda/scan_rows.h"
#include "backends/cuda/selective_scan.cuh"

namespace quamba2 {
namespace cuda {
namespace {

constexpr int kMostStates = 768;  // 192 KiB of shared memory in selective_scan_any

const char* refuse_selective(const SelectiveScanArgs& a) {
  for (const Operand* x : {&a.x, &a.dt, &a.b, &a.c, &a.out}) {
    if (const char* reason = refuse_static_numbers(*x)) return reason;
  }
  if (const char* reason = refuse_state(a.state)) return reason;
  for (const TensorView* v : {&a.a_log, &a.d, &a.dt_bias}) {
    if (v->data != nullptr && v->dtype != DType::kF32) return "needs f32 parameters";
  }
  return a.a_log.dim[1] > kMostStates ? "needs fewer states" : nullptr;
}

Verdict supports(const SelectiveScanArgs& a) { return {refuse_selective(a)}; }

void run(const SelectiveScanArgs& a, const Stream& stream) {
  const SelectiveScan s = selective_scan_of(a);
  if (run_selective_scan_step(s, stream) || run_selective_scan_chunked(s, stream) ||
      run_selective_scan_tokens(s, stream))
    return;
  run_selective_scan_any(s, stream);
}

// Every segment has a slot of its own.
size_t scratch_bytes(const SelectiveScanArgs& a, int32_t) {
  return static_cast<size_t>(selective_chunked_scratch(selective_scan_of(a), a.state.values.dim[0]));
}

}  // namespace
}  // namespace cuda

KernelRows<SelectiveScanArgs> cuda_selective_scan_rows(int32_t) {
  static const Kernel<SelectiveScanArgs> rows[] = {
      {"selective_scan_cuda", cuda::supports, cuda::run, cuda::scratch_bytes}};
  return {rows, 1};
}

}  // namespace quamba2
