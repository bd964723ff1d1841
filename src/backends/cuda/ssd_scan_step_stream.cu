// SPDX-License-Identifier: Apache-2.0
// ssd_scan of one token a segment on sm_90, states of 128 by 64 that are f16, or codes with dynamic scales. A warp takes one
// head of a segment after the other, with blocks of its rows on their way in and out through a ring in shared memory:
//
//   rows of a head   [block 0][block 1] ...   in: bulk copies, three ahead    at work: one    out: bulk copies, from where they lie
//   64 channels      two neighbours a lane
//
// A lane has all rows of its channels, one after the other, so neither outputs nor scales nor what rounding has left need
// another lane, and no warp waits for another one.
#include "backends/cuda/device/barrier.cuh"
#include "backends/cuda/ssd_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kStates = 128, kWidth = 64;
constexpr int kWarps = 4;       // of a block; they share nothing
constexpr int kBlocksEach = 4;  // blocks a multiprocessor
constexpr int kStages = 4;      // blocks of rows in shared memory, a warp
constexpr int kStageBytes = 2048;

template <DType kType>
constexpr int rows_of_stage() {
  return kStageBytes / kWidth / (kType == DType::kI8 ? 1 : 2);
}
static_assert(rows_of_stage<DType::kI8>() == kStateBlock, "a block has one scale a channel");

template <DType kType>
struct Stage {
  alignas(128) char numbers[kStageBytes];
};
template <>
struct Stage<DType::kI8> {
  alignas(128) char numbers[kStageBytes];
  float scales[kWidth];
};

template <DType kType>
struct WarpShared {
  Stage<kType> ring[kStages];
  float b[kStates], c[kStates];
  uint64_t arrived[kStages];
};

#if __CUDA_ARCH__ >= 900

// What a warp reads of a head beside its state, before its turn.
struct HeadInputs {
  float b[kStates / 32], c[kStates / 32];  // every 32nd
  float input[2], skipped[2];              // of the lane's channels: delta x and D x
  float decay;
};

// A head of a segment; one step goes `segments` and `heads` on, and over those that have no token.
struct Place {
  int32_t segment, head;
};
struct Way {
  const SsdScan& s;
  Place step;

  __device__ __forceinline__ Way(const SsdScan& scan, int32_t stride)
      : s(scan), step{stride / scan.heads, stride % scan.heads} {}
  __device__ __forceinline__ bool ends(Place p) const { return p.segment >= s.segment_count; }
  __device__ __forceinline__ Segment segment(Place p) const {
    const int32_t* at = reinterpret_cast<const int32_t*>(s.segments + p.segment);
    return {__ldg(at), __ldg(at + 1), __ldg(at + 2)};
  }
  __device__ __forceinline__ Place further(Place p) const {
    p.segment += step.segment, p.head += step.head;
    if (p.head >= s.heads) p.head -= s.heads, ++p.segment;
    return p;
  }
  __device__ __forceinline__ Place with_token(Place p) const {
    while (!ends(p) && segment(p).length == 0) p = further(p);
    return p;
  }
  __device__ __forceinline__ Place next(Place p) const { return with_token(further(p)); }
};

template <ScanInputs kInputs>
__device__ __forceinline__ HeadInputs inputs_at(const Way& way, Place place) {
  HeadInputs in = {};
  if (way.ends(place)) return in;
  const SsdScan& s = way.s;
  const int32_t token = way.segment(place).begin, h = place.head, lane = threadIdx.x % 32;
  const int32_t first = h / (s.heads / s.groups) * kStates;
#pragma unroll
  for (int i = 0; i < kStates / 32; ++i) {
    in.b[i] = input_number<kInputs>(s.b, token, first + i * 32 + lane);
    in.c[i] = input_number<kInputs>(s.c, token, first + i * 32 + lane);
  }
  const SsdStep step = ssd_step<kInputs>(s, token, h);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int p = 2 * lane + i;
    const float x = input_number<kInputs>(s.x, token, h * kWidth + p);
    in.input[i] = step.delta * x, in.skipped[i] = skip_weight(s, h, p) * x;
  }
  in.decay = step.decay;
  return in;
}

// Where a warp's copies in have got to.
struct Cursor {
  Place place;
  int32_t block;
};

// One lane: asks for the next block of rows.
template <DType kType>
__device__ __forceinline__ void fetch_block(const Way& way, Cursor& at, WarpShared<kType>& shared, int stage) {
  if (way.ends(at.place)) return;
  const HeadState from(way.s.state, way.segment(at.place).slot, at.place.head);
  uint64_t* arrived = shared.arrived + stage;
  constexpr int kScaleBytes = kType == DType::kI8 ? kWidth * 4 : 0;
  arrive_expecting(arrived, kStageBytes + kScaleBytes);
  copy_bulk(shared.ring[stage].numbers, from.data + at.block * kStageBytes, kStageBytes, arrived);
  if constexpr (kType == DType::kI8)
    copy_bulk(shared.ring[stage].scales, from.scales + at.block * kWidth, kScaleBytes, arrived);
  if (++at.block == kStates / rows_of_stage<kType>()) at = {way.next(at.place), 0};
}

template <DType kType>
__device__ __forceinline__ void send_block(const HeadState& to, int block, const Stage<kType>& from) {
  copy_bulk_back(to.data + block * kStageBytes, from.numbers, kStageBytes);
  if constexpr (kType == DType::kI8)
    copy_bulk_back(to.scales + block * kWidth, from.scales, static_cast<uint32_t>(kWidth * 4));
  commit_bulk();
}

// The carry of what rounding has left, of a lane's two channels from one block of rows to the next; in steps, less a half.
struct Left {
  float scale[2] = {0, 0}, steps[2] = {-0.5f, -0.5f};
};

// Numbers to their codes, in place. A step is rounded up, behind half a step that is taken away at the beginning: halves go
// down, so that no code is 128.
__device__ __forceinline__ void encode_rows(float (&v)[kStateBlock][2], Left& left, Stage<DType::kI8>& stage) {
  constexpr float kWhole = 0x1.8p+23f;  // in sums with this, the lowest byte is a code
  const int lane = threadIdx.x % 32;
  float inverse[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float largest = 0, up = 1;
#pragma unroll
    for (int r = 0; r < kStateBlock; ++r) largest = fmaxf(largest, fabsf(v[r][i]));
    const float scale = largest * (1.0f / 127);
    if (largest < 0x1p-50f) {  // its inverse might be infinite
      up = 0x1p+64f, largest *= up;
#pragma unroll
      for (int r = 0; r < kStateBlock; ++r) v[r][i] *= up;
    }
    inverse[i] = largest > 0 ? __fdiv_rd(127.0f, largest) : 0.0f;  // down: no number has more than 127 steps
    const float ratio = fminf(left.scale[i] * up * inverse[i], 0x1p+100f);
    left.steps[i] = fminf(fmaxf((left.steps[i] + 0.5f) * ratio, -0.5f), 0.5f) - 0.5f;
    left.scale[i] = scale;
  }
  *reinterpret_cast<float2*>(stage.scales + 2 * lane) = make_float2(left.scale[0], left.scale[1]);
#pragma unroll
  for (int r = 0; r < kStateBlock; ++r) {
    uint32_t code[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float goal = fmaf(v[r][i], inverse[i], left.steps[i]), whole = __fadd_ru(goal, kWhole);
      left.steps[i] = goal - (whole - kWhole);
      code[i] = __float_as_uint(whole);
    }
    *reinterpret_cast<uint16_t*>(stage.numbers + r * kWidth + 2 * lane) =
        static_cast<uint16_t>(__byte_perm(code[0], code[1], 0x0040));
  }
}

// A block of rows after this token, where it lies; what it gives to the outputs of the lane's channels is added to y.
template <DType kType>
__device__ __forceinline__ void advance(Stage<kType>& stage, const float* b, const float* c, const HeadInputs& in,
                                        Left& left, float (&y)[2]) {
  constexpr int kRows = rows_of_stage<kType>();
  const int lane = threadIdx.x % 32;
  float decay[2] = {in.decay, in.decay}, sum[2][2] = {}, v[kRows][2];
  if constexpr (kType == DType::kI8) {
    const float2 scale = *reinterpret_cast<const float2*>(stage.scales + 2 * lane);
    decay[0] *= scale.x, decay[1] *= scale.y;
  }
#pragma unroll
  for (int r = 0; r < kRows; r += 4) {
    const float4 b4 = *reinterpret_cast<const float4*>(b + r), c4 = *reinterpret_cast<const float4*>(c + r);
    const float bs[4] = {b4.x, b4.y, b4.z, b4.w}, cs[4] = {c4.x, c4.y, c4.z, c4.w};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      char* at = stage.numbers + ((r + k) * kWidth + 2 * lane) * (kType == DType::kI8 ? 1 : 2);
      float old[2];
      if constexpr (kType == DType::kI8) {
        const char2 codes = *reinterpret_cast<const char2*>(at);
        old[0] = codes.x, old[1] = codes.y;
      } else {
        const float2 both = __half22float2(*reinterpret_cast<const __half2*>(at));
        old[0] = both.x, old[1] = both.y;
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        v[r + k][i] = fmaf(decay[i], old[i], bs[k] * in.input[i]);
        sum[i][k % 2] = fmaf(cs[k], v[r + k][i], sum[i][k % 2]);
      }
      if constexpr (kType == DType::kF16) *reinterpret_cast<__half2*>(at) = __floats2half2_rn(v[r + k][0], v[r + k][1]);
    }
  }
  if constexpr (kType == DType::kI8) encode_rows(v, left, stage);
#pragma unroll
  for (int i = 0; i < 2; ++i) y[i] += sum[i][0] + sum[i][1];
}

template <DType kType, ScanInputs kInputs>
__device__ __forceinline__ void scan_heads(const SsdScan& s, WarpShared<kType>& shared, int32_t warp, int32_t warps) {
  constexpr int kRows = rows_of_stage<kType>();
  const int lane = threadIdx.x % 32;
  const bool out_in_twos =
      s.out.dtype == DType::kF32 && s.out.stride % 2 == 0 && reinterpret_cast<int64_t>(s.out.data) % 8 == 0;
  const Way way(s, warps);
  Place place = way.with_token({warp / s.heads, warp % s.heads});
  Cursor cursor = {place, 0};
  if (lane == 0) {
    for (int i = 0; i < kStages - 1; ++i) fetch_block(way, cursor, shared, i);
  }
  HeadInputs next = inputs_at<kInputs>(way, place);
  int stage = 0;
  uint32_t parity = 0;
  while (!way.ends(place)) {
    const HeadInputs in = next;
    const Segment segment = way.segment(place);
    const int32_t h = place.head;
    const HeadState state(s.state, segment.slot, h);
#pragma unroll
    for (int i = 0; i < kStates / 32; ++i) shared.b[i * 32 + lane] = in.b[i], shared.c[i * 32 + lane] = in.c[i];
    __syncwarp();
    place = way.next(place);
    next = inputs_at<kInputs>(way, place);
    Left left;
    float y[2] = {in.skipped[0], in.skipped[1]};
#pragma unroll 1
    for (int block = 0; block < kStates / kRows; ++block) {
      wait_barrier(shared.arrived + stage, parity);
      advance<kType>(shared.ring[stage], shared.b + block * kRows, shared.c + block * kRows, in, left, y);
      show_to_copies();
      __syncwarp();
      if (lane == 0) {
        send_block(state, block, shared.ring[stage]);
        wait_bulk_read_but_one();  // the block before has left its stage
        fetch_block(way, cursor, shared, (stage + kStages - 1) % kStages);
      }
      if (++stage == kStages) stage = 0, parity ^= 1;
    }
    const int64_t column = static_cast<int64_t>(h) * kWidth + 2 * lane;
    if (out_in_twos) {
      *reinterpret_cast<float2*>(static_cast<float*>(s.out.data) + static_cast<int64_t>(segment.begin) * s.out.stride +
                                 column) = make_float2(y[0], y[1]);
    } else {
      store_number(s.out, segment.begin, column, y[0]), store_number(s.out, segment.begin, column + 1, y[1]);
    }
  }
  if (lane == 0) wait_bulk();
}

#endif

template <DType kType, ScanInputs kInputs>
__global__ void __launch_bounds__(kWarps * 32, kBlocksEach) ssd_scan_step_stream(const __grid_constant__ SsdScan s) {
#if __CUDA_ARCH__ >= 900
  __shared__ WarpShared<kType> all[kWarps];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  WarpShared<kType>& shared = all[warp];
  if (threadIdx.x % 32 == 0) {
    for (uint64_t& barrier : shared.arrived) init_barrier(&barrier, 1);
    publish_barriers();
  }
  __syncwarp();
  let_next_start();
  wait_for_previous();
  scan_heads<kType, kInputs>(s, shared, static_cast<int32_t>(blockIdx.x) * kWarps + warp,
                             static_cast<int32_t>(gridDim.x) * kWarps);
#else
  __trap();  // run_ssd_scan_step_stream asks for compute capability 9.0
#endif
}

template <DType kType>
void launch_stream(const SsdScan& s, const Stream& stream) {
  const int32_t blocks = (s.heads * s.segment_count + kWarps - 1) / kWarps, at_once = multiprocessors() * kBlocksEach;
  const LaunchShape shape = {dim3(static_cast<unsigned>(blocks < at_once ? blocks : at_once)), dim3(kWarps * 32)};
  switch (inputs_of(s.x, s.dt, s.b, s.c)) {
    case ScanInputs::kCodes: return launch(ssd_scan_step_stream<kType, ScanInputs::kCodes>, shape, stream, s);
    case ScanInputs::kFloats: return launch(ssd_scan_step_stream<kType, ScanInputs::kFloats>, shape, stream, s);
    case ScanInputs::kAny: return launch(ssd_scan_step_stream<kType, ScanInputs::kAny>, shape, stream, s);
  }
}

}  // namespace

bool run_ssd_scan_step_stream(const SsdScan& s, const Stream& stream) {
  if (s.states != kStates || s.width != kWidth || compute_capability() < 90) return false;
  const ScanState& state = s.state;
  const bool codes = state.kind == StateKind::kDynamic;
  if (!codes && (state.kind != StateKind::kFloat || state.dtype != DType::kF16)) return false;
  const int64_t in_sixteens = (state.head_stride | state.slot_stride) * (codes ? 1 : 2);
  if (state.row_stride != kWidth || in_sixteens % 16 != 0) return false;
  if (codes && state.scale_step != kWidth) return false;
  if (codes)
    launch_stream<DType::kI8>(s, stream);
  else
    launch_stream<DType::kF16>(s, stream);
  return true;
}

}  // namespace quamba2::cuda
