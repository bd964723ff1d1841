// SPDX-License-Identifier: Apache-2.0
// ssd_scan of one token a segment: a block a head, one pass over its state. A thread has four channels of kRows neighbouring
// rows; the lanes of a warp have 32 rows, a block of the state's scales, of 4 * 32 / (32 / kRows) channels:
//
//              channels: 4 a lane ->
//   rows 0 ..   | lane 0 | lane 1 | ...         a warp: 32 rows; warps: first along the channels, then along N
//   rows kRows  | lane c | ...
//
// Codes of dynamic states come from sums instead of one number after the other: with u_n = v_n / scale and C_n the sum of u
// up to n and of what the block before has left, code n is round(C_n) - round(C_{n-1}), and what is left is C_n - round(C_n).
// Sums are of 2^-18 steps, exact in 32 bits: at most 32 * 127 steps.
#include "backends/cuda/ssd_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kOne = 1 << 18;

__device__ __forceinline__ int rounded(int sum) { return (sum + (kOne / 2 - 1)) >> 18; }  // halves down: never 128

struct FourFloats {
  float v[4];
};

template <DType kType>
__device__ __forceinline__ FourFloats load_state(const HeadState& s, int64_t i) {
  FourFloats out;
  if constexpr (kType == DType::kF32) {
    const float4 v = *reinterpret_cast<const float4*>(s.data + i * 4);
    out.v[0] = v.x, out.v[1] = v.y, out.v[2] = v.z, out.v[3] = v.w;
  } else if constexpr (kType == DType::kF16) {
    const uint2 v = *reinterpret_cast<const uint2*>(s.data + i * 2);
    const float2 low = __half22float2(*reinterpret_cast<const __half2*>(&v.x));
    const float2 high = __half22float2(*reinterpret_cast<const __half2*>(&v.y));
    out.v[0] = low.x, out.v[1] = low.y, out.v[2] = high.x, out.v[3] = high.y;
  } else {
    const char4 v = *reinterpret_cast<const char4*>(s.data + i);
    out.v[0] = v.x, out.v[1] = v.y, out.v[2] = v.z, out.v[3] = v.w;
  }
  return out;
}

// The same way back, so that a warp's numbers leave in whole sectors. Not for dynamic scales.
template <DType kType>
__device__ __forceinline__ void store_state(const HeadState& s, int64_t n, int64_t p, const float (&v)[4]) {
  const int64_t i = n * s.row_stride + p;
  if constexpr (kType == DType::kF32) {
    *reinterpret_cast<float4*>(s.data + i * 4) = make_float4(v[0], v[1], v[2], v[3]);
  } else if constexpr (kType == DType::kF16) {
    const __half2 low = __floats2half2_rn(v[0], v[1]), high = __floats2half2_rn(v[2], v[3]);
    *reinterpret_cast<uint2*>(s.data + i * 2) =
        make_uint2(*reinterpret_cast<const uint32_t*>(&low), *reinterpret_cast<const uint32_t*>(&high));
  } else {
    *reinterpret_cast<char4*>(s.data + i) =
        make_char4(encode_i8(v[0], s.scale(n, p)), encode_i8(v[1], s.scale(n, p + 1)),
                   encode_i8(v[2], s.scale(n, p + 2)), encode_i8(v[3], s.scale(n, p + 3)));
  }
}

template <int kRows, int kStates, int kWidth>
struct Place {
  static constexpr int kRowLanes = 32 / kRows, kChannelLanes = 32 / kRowLanes, kWarpChannels = 4 * kChannelLanes;
  static constexpr int kAcross = kWidth / kWarpChannels;  // warps along the channels
  static constexpr int kBlocks = kStates / kStateBlock;
  int block, row, channel, row_lane;
  __device__ __forceinline__ Place() {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    row_lane = lane / kChannelLanes;
    block = warp / kAcross;
    row = block * kStateBlock + row_lane * kRows;
    channel = warp % kAcross * kWarpChannels + lane % kChannelLanes * 4;
  }
};

// Codes and scales of a thread's numbers; all threads of the block take part.
template <int kRows, int kStates, int kWidth>
__device__ __forceinline__ void store_dynamic(const HeadState& state, const Place<kRows, kStates, kWidth>& place,
                                              const float (&v)[kRows][4], float* scales, int* totals) {
  using P = Place<kRows, kStates, kWidth>;
  int sums[kRows][4];
  float scale[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    float largest = 0;
#pragma unroll
    for (int r = 0; r < kRows; ++r) largest = fmaxf(largest, fabsf(v[r][i]));
#pragma unroll
    for (int d = P::kChannelLanes; d < 32; d *= 2) largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, d));
    scale[i] = __fdiv_rn(largest, 127.0f);
    const CodeFactor factor = code_factor(scale[i]);
    int sum = 0;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      sum += __float2int_rn(fminf(fmaxf(factor.steps(v[r][i]), -127.0f), 127.0f) * kOne);
      sums[r][i] = sum;
    }
    int before = sum;  // of the lanes with rows above, then without this one's
#pragma unroll
    for (int d = P::kChannelLanes; d < 32; d *= 2) {
      const int other = __shfl_up_sync(kAllLanes, before, d);
      if (threadIdx.x % 32 >= static_cast<unsigned>(d)) before += other;
    }
    if (place.row_lane == P::kRowLanes - 1) {
      scales[place.block * kWidth + place.channel + i] = scale[i];
      totals[place.block * kWidth + place.channel + i] = before;
    }
    before -= sum;
#pragma unroll
    for (int r = 0; r < kRows; ++r) sums[r][i] += before;
  }
  __syncthreads();
  int left[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    int carry = 0;
    float last = 0;
    for (int b = 0; b <= place.block; ++b) {  // what each block leaves to the next one, in steps of that one
      const float now = scales[b * kWidth + place.channel + i];
      const float ratio = now > 0.0f ? fminf(code_factor(now).steps(last), 0x1p+30f) : 0.0f;
      carry = __float2int_rn(fminf(fmaxf(static_cast<float>(carry) * ratio, -0.5f * kOne), 0.5f * kOne));
      if (b == place.block) break;
      const int end = carry + totals[b * kWidth + place.channel + i];
      carry = end - rounded(end) * kOne;
      last = now;
    }
    left[i] = carry;
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    char4 codes;
    int code[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      // The sum before this row: of the row above it, which may be another lane's.
      const int above =
          r > 0 ? sums[r > 0 ? r - 1 : 0][i] : __shfl_up_sync(kAllLanes, sums[kRows - 1][i], P::kChannelLanes);
      const int base = r == 0 && place.row_lane == 0 ? 0 : rounded(above + left[i]);  // what is left has no code
      code[i] = min(max(rounded(sums[r][i] + left[i]) - base, -128), 127);
    }
    codes.x = static_cast<signed char>(code[0]), codes.y = static_cast<signed char>(code[1]);
    codes.z = static_cast<signed char>(code[2]), codes.w = static_cast<signed char>(code[3]);
    *reinterpret_cast<char4*>(state.data + (place.row + r) * state.row_stride + place.channel) = codes;
  }
  if (place.row_lane == 0) {
    *reinterpret_cast<float4*>(state.scales + place.block * state.scale_step + place.channel) =
        make_float4(scale[0], scale[1], scale[2], scale[3]);
  }
}

template <int kStates, int kWidth>
struct StepShared {
  float b[kStates], c[kStates];
  float y[kStates / kStateBlock][kWidth];
  float scales[kStates / kStateBlock * kWidth];
  int totals[kStates / kStateBlock * kWidth];
};

template <DType kType, StateKind kKind, ScanInputs kInputs, int kStates, int kWidth>
__global__ void __launch_bounds__(kThreads, kKind == StateKind::kStatic ? 2 : 3)
    ssd_scan_step(const __grid_constant__ SsdScan s) {
  constexpr int kRows = kStates * kWidth / 4 / kThreads;
  __shared__ StepShared<kStates, kWidth> shared;
  let_next_start();
  wait_for_previous();
  const int h = blockIdx.x;
  const Segment segment = s.segments[blockIdx.y];
  if (segment.length == 0) return;
  const int64_t token = segment.begin;
  const int64_t first = static_cast<int64_t>(h) / (s.heads / s.groups) * kStates;
  const int n = threadIdx.x % kStates;
  float bc = 0;
  if (threadIdx.x < 2 * kStates) {
    bc = threadIdx.x < kStates ? input_number<kInputs>(s.b, token, first + n)
                               : input_number<kInputs>(s.c, token, first + n);
  }
  const Place<kRows, kStates, kWidth> place;
  const HeadState state(s.state, segment.slot, h);
  float v[kRows][4];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const FourFloats from = load_state<kType>(state, (place.row + r) * state.row_stride + place.channel);
#pragma unroll
    for (int i = 0; i < 4; ++i) v[r][i] = from.v[i];
  }
  if constexpr (kKind != StateKind::kFloat) {
    float scale[4];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (r == 0 || kKind == StateKind::kStatic) scale[i] = state.scale(place.row + r, place.channel + i);
        v[r][i] *= scale[i];
      }
    }
  }
  float skipped = 0;  // D x of the channel that this thread writes
  if (threadIdx.x < kWidth) {
    skipped = skip_weight(s, h, threadIdx.x) * input_number<kInputs>(s.x, token, h * kWidth + threadIdx.x);
  }
  if (threadIdx.x < 2 * kStates) (threadIdx.x < kStates ? shared.b : shared.c)[n] = bc;
  const SsdStep step = ssd_step<kInputs>(s, token, h);
  float input[4], y[4] = {};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    input[i] = step.delta * input_number<kInputs>(s.x, token, h * kWidth + place.channel + i);
  }
  __syncthreads();
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float b = shared.b[place.row + r], c = shared.c[place.row + r];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      v[r][i] = fmaf(step.decay, v[r][i], b * input[i]);
      y[i] = fmaf(c, v[r][i], y[i]);
    }
  }
  using P = Place<kRows, kStates, kWidth>;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int d = P::kChannelLanes; d < 32; d *= 2) y[i] += __shfl_xor_sync(kAllLanes, y[i], d);
    if (place.row_lane == 0) shared.y[place.block][place.channel + i] = y[i];
  }
  if constexpr (kKind == StateKind::kDynamic) {
    store_dynamic<kRows, kStates, kWidth>(state, place, v, shared.scales, shared.totals);
  } else {
#pragma unroll
    for (int r = 0; r < kRows; ++r) store_state<kType>(state, place.row + r, place.channel, v[r]);
    __syncthreads();
  }
  if (threadIdx.x < kWidth) {
    const int p = threadIdx.x;
    float sum = skipped;
#pragma unroll
    for (int b = 0; b < P::kBlocks; ++b) sum += shared.y[b][p];
    store_number(s.out, token, h * kWidth + p, sum);
  }
}

template <DType kType, StateKind kKind>
bool launch_step(const SsdScan& s, const Stream& stream) {
  const LaunchShape shape = {dim3(s.heads, s.segment_count), dim3(kThreads)};
  const ScanInputs inputs = inputs_of(s.x, s.dt, s.b, s.c);
  if (s.states == 128 && inputs == ScanInputs::kCodes)
    launch(ssd_scan_step<kType, kKind, ScanInputs::kCodes, 128, 64>, shape, stream, s);
  else if (s.states == 128 && inputs == ScanInputs::kFloats)
    launch(ssd_scan_step<kType, kKind, ScanInputs::kFloats, 128, 64>, shape, stream, s);
  else if (s.states == 128)
    launch(ssd_scan_step<kType, kKind, ScanInputs::kAny, 128, 64>, shape, stream, s);
  else if (s.states == 64)
    launch(ssd_scan_step<kType, kKind, ScanInputs::kAny, 64, 64>, shape, stream, s);
  else
    return false;
  return true;
}

}  // namespace

bool run_ssd_scan_step(const SsdScan& s, const Stream& stream) {
  const int64_t together = s.state.row_stride | s.state.head_stride | s.state.slot_stride;
  if (s.width != 64 || together % 4 != 0 || reinterpret_cast<int64_t>(s.state.data) % 16 != 0) return false;
  if (s.state.kind == StateKind::kDynamic) {
    const int64_t scales = s.state.scale_step | s.state.scale_head_stride | s.state.scale_slot_stride;
    if (scales % 4 != 0 || reinterpret_cast<int64_t>(s.state.scales) % 16 != 0) return false;
    if (run_ssd_scan_step_stream(s, stream)) return true;
    return launch_step<DType::kI8, StateKind::kDynamic>(s, stream);
  }
  if (s.state.kind == StateKind::kStatic) return launch_step<DType::kI8, StateKind::kStatic>(s, stream);
  if (s.state.dtype == DType::kF16 && run_ssd_scan_step_stream(s, stream)) return true;
  if (s.state.dtype == DType::kF16) return launch_step<DType::kF16, StateKind::kFloat>(s, stream);
  if (s.state.dtype == DType::kF32) return launch_step<DType::kF32, StateKind::kFloat>(s, stream);
  return false;
}

}  // namespace quamba2::cuda
