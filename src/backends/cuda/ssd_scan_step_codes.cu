// SPDX-License-Identifier: Apache-2.0
// ssd_scan of one token a segment on sm_90 where states are codes with dynamic scales: the bits of ssd_scan_step.cu. Blocks
// stay and take one head of a segment after the other; those to come are copied into shared memory meanwhile. A thread has
// one channel of the 32 rows that share its scale, so neither the largest number nor the sums of rounding leave it:
//
//                 64 channels, a lane each ->
//   rows 0 .. 31   | warps 0 and 1 |
//   rows 32 .. 63  | warps 2 and 3 |  ...
#include "backends/cuda/device/barrier.cuh"
#include "backends/cuda/ssd_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kStates = 128, kWidth = 64, kBlocks = kStates / kStateBlock;
constexpr int kThreads = kBlocks * kWidth;
constexpr int kBuffers = 3;     // heads in shared memory: one on its way in, one at work, one on its way out
constexpr int kBlocksEach = 3;  // blocks a multiprocessor
constexpr int kOne = 1 << 18;   // a step of a scale, in sums
constexpr int kMost = 127 * kOne;

struct Head {
  signed char codes[kStates][kWidth];
  float scales[kBlocks][kWidth];
};

struct Shared {
  alignas(128) Head head[kBuffers];
  float4 b[kStates / 4], c[kStates / 4];
  float y[kBlocks][kWidth], scale[kBlocks][kWidth];
  CodeFactor factor[kBlocks][kWidth];
  int total[kBlocks][kWidth];
  SsdStep step[2];  // of this head and the next one
  uint64_t arrived[kBuffers];
};

#if __CUDA_ARCH__ >= 900

// What a thread reads of a head beside its state, before its turn.
struct HeadInputs {
  float bc, x, skipped;  // a number of B or C, one of x, and for the threads that write outputs D x
};

__device__ __forceinline__ Segment segment_at(const SsdScan& s, int32_t item) {
  const int32_t* p = reinterpret_cast<const int32_t*>(s.segments + item / s.heads);
  return {__ldg(p), __ldg(p + 1), __ldg(p + 2)};
}

template <ScanInputs kInputs>
__device__ __forceinline__ HeadInputs inputs_at(const SsdScan& s, int32_t item) {
  const Segment segment = segment_at(s, item);
  if (segment.length == 0) return {};
  const int32_t h = item % s.heads, p = threadIdx.x % kWidth, n = threadIdx.x % kStates;
  const Numbers& from = threadIdx.x < kStates ? s.b : s.c;
  HeadInputs in;
  in.bc = input_number<kInputs>(from, segment.begin, static_cast<int64_t>(h) / (s.heads / s.groups) * kStates + n);
  in.x = input_number<kInputs>(s.x, segment.begin, h * kWidth + p);
  in.skipped = skip_weight(s, h, p) * in.x;
  return in;
}

__device__ __forceinline__ void fetch_head(const SsdScan& s, int32_t item, Head* to, uint64_t* arrived) {
  const Segment segment = segment_at(s, item);
  if (segment.length == 0) return;
  const HeadState from(s.state, segment.slot, item % s.heads);
  arrive_expecting(arrived, sizeof(Head));
  copy_bulk(to->codes, from.data, sizeof(to->codes), arrived);
  copy_bulk(to->scales, from.scales, sizeof(to->scales), arrived);
}

__device__ __forceinline__ void send_head(const SsdScan& s, int32_t item, int32_t slot, const Head& head) {
  const HeadState to(s.state, slot, item % s.heads);
  copy_bulk_back(to.data, head.codes, sizeof(head.codes));
  copy_bulk_back(to.scales, head.scales, sizeof(head.scales));
  commit_bulk();
}

// The numbers of a thread after this token; returns what they give to its output.
__device__ __forceinline__ float advance(const Shared& shared, const Head& head, int block, int p, SsdStep step,
                                         float x, float (&v)[kStateBlock]) {
  const float scale = head.scales[block][p], input = step.delta * x;
  float y[4] = {};  // of eight rows each
#pragma unroll
  for (int r = 0; r < kStateBlock; r += 4) {
    const float4 b = shared.b[(block * kStateBlock + r) / 4], c = shared.c[(block * kStateBlock + r) / 4];
    const float bs[4] = {b.x, b.y, b.z, b.w}, cs[4] = {c.x, c.y, c.z, c.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float old = static_cast<float>(head.codes[block * kStateBlock + r + i][p]) * scale;
      v[r + i] = fmaf(step.decay, old, bs[i] * input);
      y[r / 8] = fmaf(cs[i], v[r + i], y[r / 8]);
    }
  }
  return (y[0] + y[1]) + (y[2] + y[3]);
}

// Sums of a channel's numbers in steps of their scale, each with kMost on top so that one instruction keeps it in range.
__device__ __forceinline__ void sum_steps(float (&v)[kStateBlock], Shared& shared, int block, int p,
                                          int (&sums)[kStateBlock]) {
  float largest = 0;
#pragma unroll
  for (int r = 0; r < kStateBlock; ++r) largest = fmaxf(largest, fabsf(v[r]));
  const float scale = __fdiv_rn(largest, 127.0f);
  const CodeFactor factor = code_factor(scale);
  if (factor.up != 1.0f) {
#pragma unroll
    for (int r = 0; r < kStateBlock; ++r) v[r] *= factor.up;
  }
  const float steps = factor.inverse * kOne;
  int sum = 0;
#pragma unroll
  for (int r = 0; r < kStateBlock; ++r) {
    sum += __viaddmin_s32_relu(__float2int_rn(v[r] * steps), kMost, 2 * kMost);
    sums[r] = sum;
  }
  shared.scale[block][p] = scale;
  shared.factor[block][p] = factor;
  shared.total[block][p] = sum - kStateBlock * kMost;
}

__device__ __forceinline__ int rounded(int sum) { return (sum + (kOne / 2 - 1)) >> 18; }  // halves down: never 128

// What the blocks of rows above leave to this one, in its steps.
__device__ __forceinline__ int left_by_blocks(const Shared& shared, int block, int p) {
  int carry = 0;
  float last = 0;
  for (int b = 0; b <= block; ++b) {
    const float now = shared.scale[b][p];
    const float ratio = now > 0.0f ? fminf(shared.factor[b][p].steps(last), 0x1p+30f) : 0.0f;
    carry = __float2int_rn(fminf(fmaxf(static_cast<float>(carry) * ratio, -0.5f * kOne), 0.5f * kOne));
    if (b == block) break;
    const int end = carry + shared.total[b][p];
    carry = end - rounded(end) * kOne;
    last = now;
  }
  return carry;
}

template <ScanInputs kInputs>
__device__ __forceinline__ void scan_heads(const SsdScan& s, Shared& shared) {
  const int p = threadIdx.x % kWidth, block = threadIdx.x / kWidth, stride = static_cast<int>(gridDim.x);
  const int32_t items = s.heads * s.segment_count;
  auto item = static_cast<int32_t>(blockIdx.x);
  if (threadIdx.x == 0) {
    for (int i = 0; i < kBuffers - 1 && item + i * stride < items; ++i) {
      fetch_head(s, item + i * stride, shared.head + i, shared.arrived + i);
    }
  }
  HeadInputs in = inputs_at<kInputs>(s, item);
  if (threadIdx.x / 32 == 1 && segment_at(s, item).length != 0) {
    shared.step[0] = ssd_step<kInputs>(s, segment_at(s, item).begin, item % s.heads);
  }
  uint32_t parity = 0;  // a bit a buffer
  for (int turn = 0, buffer = 0; item < items; ++turn, item += stride) {
    const Segment segment = segment_at(s, item);
    const bool has_next = item + stride < items;
    Head& head = shared.head[buffer];
    reinterpret_cast<float*>(threadIdx.x < kStates ? shared.b : shared.c)[threadIdx.x % kStates] = in.bc;
    const float x = in.x, skipped = in.skipped;
    if (has_next) in = inputs_at<kInputs>(s, item + stride);
    __syncthreads();
    const SsdStep step = shared.step[turn % 2];
    float v[kStateBlock];
    int sums[kStateBlock];
    if (segment.length != 0) {
      wait_barrier(shared.arrived + buffer, parity >> buffer & 1);
      parity ^= 1u << buffer;
      shared.y[block][p] = advance(shared, head, block, p, step, x, v);
      sum_steps(v, shared, block, p, sums);
    }
    __syncthreads();
    if (threadIdx.x == 0 && item + (kBuffers - 1) * stride < items) {
      wait_bulk_read();  // the head before this one has left its buffer
      const int free = (buffer + kBuffers - 1) % kBuffers;
      fetch_head(s, item + (kBuffers - 1) * stride, shared.head + free, shared.arrived + free);
    }
    if (has_next && threadIdx.x / 32 == 1) {
      const Segment next = segment_at(s, item + stride);
      if (next.length != 0) shared.step[(turn + 1) % 2] = ssd_step<kInputs>(s, next.begin, (item + stride) % s.heads);
    }
    if (segment.length != 0) {
      const int offset = left_by_blocks(shared, block, p) + (kOne / 2 - 1);
      int before = 0;
#pragma unroll
      for (int r = 0; r < kStateBlock; ++r) {
        const int now = (sums[r] + offset) >> 18;
        head.codes[block * kStateBlock + r][p] = static_cast<signed char>(now - before - kMost / kOne);
        before = now;
      }
      head.scales[block][p] = shared.scale[block][p];
      if (threadIdx.x < kWidth) {
        float sum = skipped;
#pragma unroll
        for (int b = 0; b < kBlocks; ++b) sum += shared.y[b][p];
        store_number(s.out, segment.begin, static_cast<int64_t>(item % s.heads) * kWidth + p, sum);
      }
      show_to_copies();
    }
    __syncthreads();
    if (threadIdx.x == 0 && segment.length != 0) send_head(s, item, segment.slot, head);
    buffer = buffer + 1 == kBuffers ? 0 : buffer + 1;
  }
  if (threadIdx.x == 0) wait_bulk();
}

#endif

template <ScanInputs kInputs>
__global__ void __launch_bounds__(kThreads, kBlocksEach) ssd_scan_step_codes(const __grid_constant__ SsdScan s) {
#if __CUDA_ARCH__ >= 900
  __shared__ Shared shared;
  if (threadIdx.x == 0) {
    for (uint64_t& barrier : shared.arrived) init_barrier(&barrier, 1);
    publish_barriers();
  }
  __syncthreads();
  let_next_start();
  wait_for_previous();
  scan_heads<kInputs>(s, shared);
#else
  __trap();  // run_ssd_scan_step_codes asks for compute capability 9.0
#endif
}

}  // namespace

bool run_ssd_scan_step_codes(const SsdScan& s, const Stream& stream) {
  if (s.states != kStates || s.width != kWidth || compute_capability() < 90) return false;
  if (s.state.row_stride != kWidth || s.state.scale_step != kWidth) return false;
  if (s.state.head_stride % 16 != 0 || s.state.slot_stride % 16 != 0) return false;
  const int32_t items = s.heads * s.segment_count, at_once = multiprocessors() * kBlocksEach;
  const LaunchShape shape = {dim3(items < at_once ? items : at_once), dim3(kThreads)};
  switch (inputs_of(s.x, s.dt, s.b, s.c)) {
    case ScanInputs::kCodes: launch(ssd_scan_step_codes<ScanInputs::kCodes>, shape, stream, s); break;
    case ScanInputs::kFloats: launch(ssd_scan_step_codes<ScanInputs::kFloats>, shape, stream, s); break;
    case ScanInputs::kAny: launch(ssd_scan_step_codes<ScanInputs::kAny>, shape, stream, s); break;
  }
  return true;
}

}  // namespace quamba2::cuda
