// SPDX-License-Identifier: Apache-2.0
// ssd_scan: the row of the table, and which kernel a call takes.
#include "backends/cuda/scan_rows.h"
#include "backends/cuda/ssd_scan.cuh"

namespace quamba2 {
namespace cuda {
namespace {

constexpr int kMostStates = 768;  // 192 KiB of shared memory in ssd_scan_any

const char* refuse_ssd(const SsdScanArgs& a) {
  for (const Operand* x : {&a.x, &a.dt, &a.b, &a.c, &a.out}) {
    if (const char* reason = refuse_static_numbers(*x)) return reason;
  }
  if (const char* reason = refuse_state(a.state)) return reason;
  for (const TensorView* v : {&a.a_log, &a.d, &a.dt_bias}) {
    if (v->data != nullptr && v->dtype != DType::kF32) return "needs f32 parameters";
  }
  if (a.groups < 1 || a.state.values.dim[1] % a.groups != 0) return "needs heads divisible by groups";
  return a.state.values.dim[2] > kMostStates ? "needs fewer states" : nullptr;
}

Verdict supports(const SsdScanArgs& a) { return {refuse_ssd(a)}; }

// The part of a call that segments [first, end) are, where those before `first` have one token each.
SsdScan segments_of(SsdScan s, int32_t first, int32_t end, int32_t tokens) {
  s.segments += first;
  s.segment_count = end - first;
  s.tokens = tokens;
  return s;
}

// Texts that grow beside a prompt take a step of their own: to the other kernels a token costs a chunk.
void run(const SsdScanArgs& a, const Stream& stream) {
  SsdScan s = ssd_scan_of(a);
  if (s.tokens == s.segment_count && run_ssd_scan_step(s, stream)) return;
  const int32_t singles = a.single_segments;
  if (singles > 0 && singles < s.segment_count && run_ssd_scan_step(segments_of(s, 0, singles, singles), stream))
    s = segments_of(s, singles, s.segment_count, s.tokens - singles);
  if (has_ssd_scan_chunked(s)) return run_ssd_scan_chunked(s, stream);
  run_ssd_scan_any(s, stream);
}

// Every segment has a slot of its own.
size_t scratch_bytes(const SsdScanArgs& a, int32_t) {
  const SsdScan s = ssd_scan_of(a);
  return has_ssd_scan_chunked(s) ? static_cast<size_t>(ssd_chunked_scratch(s, a.state.values.dim[0])) : 0;
}

}  // namespace
}  // namespace cuda

KernelRows<SsdScanArgs> cuda_ssd_scan_rows(int32_t) {
  static const Kernel<SsdScanArgs> rows[] = {{"ssd_scan_cuda", cuda::supports, cuda::run, cuda::scratch_bytes}};
  return {rows, 1};
}

}  // namespace quamba2
