// SPDX-License-Identifier: Apache-2.0
// ssd_scan of one token a segment on sm_90, states of 128 by 64 that are f16, or codes with dynamic scales. A team of a warp, for
// codes two, takes one head of a segment after the other, with blocks of its rows on their way in and out through a ring in
// shared memory:
//
//   rows of a head   [block 0][block 1] ...   in: bulk copies, three ahead    at work: one    out: bulk copies, from where they lie
//   64 channels      two neighbours a lane; of codes one, because their numbers stay in registers until their scale is known
//
// A lane has all rows of its channels, one after the other, so neither outputs nor scales nor what rounding has left need
// another lane.
#include "backends/cuda/device/barrier.cuh"
#include "backends/cuda/ssd_scan.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kStates = 128, kWidth = 64;
constexpr int kThreads = 128;
constexpr int kStages = 4;  // blocks of rows in shared memory, a team
constexpr int kStageBytes = 2048;

template <DType kType>
struct Team {
  static constexpr bool kCodes = kType == DType::kI8;
  static constexpr int kRows = kStageBytes / kWidth / (kCodes ? 1 : 2);  // of a stage
  static constexpr int kChannels = kCodes ? 1 : 2, kLanes = kWidth / kChannels;
  static constexpr int kTeams = kThreads / kLanes;     // of a block; they share nothing
  static constexpr int kBlocksEach = kCodes ? 7 : 4;   // blocks a multiprocessor
};
static_assert(Team<DType::kI8>::kRows == kStateBlock, "a block has one scale a channel");

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
struct TeamShared {
  Stage<kType> ring[kStages];
  float b[kStates], c[kStates];
  uint64_t arrived[kStages];
};

#if __CUDA_ARCH__ >= 900

template <int kLanes>
__device__ __forceinline__ void team_barrier() {
  if constexpr (kLanes == 32)
    __syncwarp();
  else
    asm volatile("bar.sync %0, %1;" ::"r"(static_cast<int>(threadIdx.x) / kLanes + 1), "n"(kLanes) : "memory");
}

// What a team reads of a head beside its state, before its turn.
template <int kChannels>
struct HeadInputs {
  static constexpr int kLanes = kWidth / kChannels, kEach = kStates / kLanes;
  float b[kEach], c[kEach];                    // every kLanes-th
  float input[kChannels], skipped[kChannels];  // of the lane's channels: delta x and D x
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

template <ScanInputs kInputs, int kChannels>
__device__ __forceinline__ HeadInputs<kChannels> inputs_at(const Way& way, Place place) {
  using Inputs = HeadInputs<kChannels>;
  Inputs in = {};
  if (way.ends(place)) return in;
  const SsdScan& s = way.s;
  const int32_t token = way.segment(place).begin, h = place.head, lane = threadIdx.x % Inputs::kLanes;
  const int32_t first = h / (s.heads / s.groups) * kStates;
#pragma unroll
  for (int i = 0; i < Inputs::kEach; ++i) {
    in.b[i] = input_number<kInputs>(s.b, token, first + i * Inputs::kLanes + lane);
    in.c[i] = input_number<kInputs>(s.c, token, first + i * Inputs::kLanes + lane);
  }
  const SsdStep step = ssd_step<kInputs>(s, token, h);
#pragma unroll
  for (int i = 0; i < kChannels; ++i) {
    const int p = kChannels * lane + i;
    const float x = input_number<kInputs>(s.x, token, h * kWidth + p);
    in.input[i] = step.delta * x, in.skipped[i] = skip_weight(s, h, p) * x;
  }
  in.decay = step.decay;
  return in;
}

// Where a team's copies in have got to.
struct Cursor {
  Place place;
  int32_t block;
};

// One lane: asks for the next block of rows.
template <DType kType>
__device__ __forceinline__ void fetch_block(const Way& way, Cursor& at, TeamShared<kType>& shared, int stage) {
  if (way.ends(at.place)) return;
  const HeadState from(way.s.state, way.segment(at.place).slot, at.place.head);
  uint64_t* arrived = shared.arrived + stage;
  constexpr int kScaleBytes = kType == DType::kI8 ? kWidth * 4 : 0;
  arrive_expecting(arrived, kStageBytes + kScaleBytes);
  copy_bulk(shared.ring[stage].numbers, from.data + at.block * kStageBytes, kStageBytes, arrived);
  if constexpr (kType == DType::kI8)
    copy_bulk(shared.ring[stage].scales, from.scales + at.block * kWidth, kScaleBytes, arrived);
  if (++at.block == kStates / Team<kType>::kRows) at = {way.next(at.place), 0};
}

template <DType kType>
__device__ __forceinline__ void send_block(const HeadState& to, int block, const Stage<kType>& from) {
  copy_bulk_back(to.data + block * kStageBytes, from.numbers, kStageBytes);
  if constexpr (kType == DType::kI8)
    copy_bulk_back(to.scales + block * kWidth, from.scales, static_cast<uint32_t>(kWidth * 4));
  commit_bulk();
}

// The carry of what rounding has left of a channel, from one block of rows to the next; in steps, less a half.
struct Left {
  float scale = 0, steps = -0.5f;
};

// Numbers to their codes, in place. A step is rounded up, behind half a step that is taken away at the beginning: halves go
// down, so that no code is 128.
__device__ __forceinline__ void encode_rows(float (&v)[kStateBlock], Left& left, Stage<DType::kI8>& stage, int channel) {
  constexpr float kWhole = 0x1.8p+23f;  // in sums with this, the lowest byte is a code
  float largest = 0, up = 1;
#pragma unroll
  for (int r = 0; r < kStateBlock; ++r) largest = fmaxf(largest, fabsf(v[r]));
  const float scale = largest * (1.0f / 127);
  if (largest < 0x1p-50f) {  // its inverse might be infinite
    up = 0x1p+64f, largest *= up;
#pragma unroll
    for (int r = 0; r < kStateBlock; ++r) v[r] *= up;
  }
  const float inverse = largest > 0 ? __fdiv_rd(127.0f, largest) : 0.0f;  // down: no number has more than 127 steps
  const float ratio = fminf(left.scale * up * inverse, 0x1p+100f);
  left.steps = fminf(fmaxf((left.steps + 0.5f) * ratio, -0.5f), 0.5f) - 0.5f;
  left.scale = scale;
  stage.scales[channel] = scale;
#pragma unroll
  for (int r = 0; r < kStateBlock; ++r) {
    const float goal = fmaf(v[r], inverse, left.steps), whole = __fadd_ru(goal, kWhole);
    left.steps = goal - (whole - kWhole);
    stage.numbers[r * kWidth + channel] = static_cast<char>(__float_as_uint(whole));
  }
}

// A block of rows after this token, where it lies; returns what it gives to the lane's output. b, c [kStateBlock].
__device__ __forceinline__ void advance(Stage<DType::kI8>& stage, const float* b, const float* c, const HeadInputs<1>& in,
                                        int lane, Left& left, float (&y)[1]) {
  const float decay = in.decay * stage.scales[lane];
  float sum[2] = {}, v[kStateBlock];
#pragma unroll
  for (int r = 0; r < kStateBlock; r += 4) {
    const float4 b4 = *reinterpret_cast<const float4*>(b + r), c4 = *reinterpret_cast<const float4*>(c + r);
    const float bs[4] = {b4.x, b4.y, b4.z, b4.w}, cs[4] = {c4.x, c4.y, c4.z, c4.w};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const auto old = static_cast<float>(static_cast<signed char>(stage.numbers[(r + k) * kWidth + lane]));
      v[r + k] = fmaf(decay, old, bs[k] * in.input[0]);
      sum[k % 2] = fmaf(cs[k], v[r + k], sum[k % 2]);
    }
  }
  encode_rows(v, left, stage, lane);
  y[0] += sum[0] + sum[1];
}
__device__ __forceinline__ void advance(Stage<DType::kF16>& stage, const float* b, const float* c,
                                        const HeadInputs<2>& in, int lane, Left&, float (&y)[2]) {
  float sum[2][2] = {};
#pragma unroll
  for (int r = 0; r < Team<DType::kF16>::kRows; r += 4) {
    const float4 b4 = *reinterpret_cast<const float4*>(b + r), c4 = *reinterpret_cast<const float4*>(c + r);
    const float bs[4] = {b4.x, b4.y, b4.z, b4.w}, cs[4] = {c4.x, c4.y, c4.z, c4.w};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      __half2* at = reinterpret_cast<__half2*>(stage.numbers) + (r + k) * (kWidth / 2) + lane;
      const float2 old = __half22float2(*at);
      const float v[2] = {fmaf(in.decay, old.x, bs[k] * in.input[0]), fmaf(in.decay, old.y, bs[k] * in.input[1])};
#pragma unroll
      for (int i = 0; i < 2; ++i) sum[i][k % 2] = fmaf(cs[k], v[i], sum[i][k % 2]);
      *at = __floats2half2_rn(v[0], v[1]);
    }
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) y[i] += sum[i][0] + sum[i][1];
}

template <int kChannels>
__device__ __forceinline__ void store_outputs(const Numbers& out, int64_t token, int64_t column,
                                              const float (&y)[kChannels]) {
  if (kChannels == 2 && out.dtype == DType::kF32 && out.stride % 2 == 0 && reinterpret_cast<int64_t>(out.data) % 8 == 0) {
    *reinterpret_cast<float2*>(static_cast<float*>(out.data) + token * out.stride + column) =
        make_float2(y[0], y[kChannels - 1]);
  } else {
#pragma unroll
    for (int i = 0; i < kChannels; ++i) store_number(out, token, column + i, y[i]);
  }
}

template <DType kType, ScanInputs kInputs>
__device__ __forceinline__ void scan_heads(const SsdScan& s, TeamShared<kType>& shared, const Way& way, Place place) {
  using T = Team<kType>;
  using Inputs = HeadInputs<T::kChannels>;
  const int lane = threadIdx.x % T::kLanes;
  Cursor cursor = {place, 0};
  if (lane == 0) {
    for (int i = 0; i < kStages - 1; ++i) fetch_block(way, cursor, shared, i);
  }
  Inputs next = inputs_at<kInputs, T::kChannels>(way, place);
  int stage = 0;
  uint32_t parity = 0;
  while (!way.ends(place)) {
    const Inputs in = next;
    const Segment segment = way.segment(place);
    const int32_t h = place.head;
    const HeadState state(s.state, segment.slot, h);
#pragma unroll
    for (int i = 0; i < Inputs::kEach; ++i) {
      shared.b[i * T::kLanes + lane] = in.b[i], shared.c[i * T::kLanes + lane] = in.c[i];
    }
    team_barrier<T::kLanes>();
    place = way.next(place);
    next = inputs_at<kInputs, T::kChannels>(way, place);
    Left left;
    float y[T::kChannels];
#pragma unroll
    for (int i = 0; i < T::kChannels; ++i) y[i] = in.skipped[i];
#pragma unroll 1
    for (int block = 0; block < kStates / T::kRows; ++block) {
      wait_barrier(shared.arrived + stage, parity);
      advance(shared.ring[stage], shared.b + block * T::kRows, shared.c + block * T::kRows, in, lane, left, y);
      show_to_copies();
      team_barrier<T::kLanes>();
      if (lane == 0) {
        send_block(state, block, shared.ring[stage]);
        wait_bulk_read_but_one();  // the block before has left its stage
        fetch_block(way, cursor, shared, (stage + kStages - 1) % kStages);
      }
      if (++stage == kStages) stage = 0, parity ^= 1;
    }
    store_outputs(s.out, segment.begin, static_cast<int64_t>(h) * kWidth + T::kChannels * lane, y);
  }
  if (lane == 0) wait_bulk();
}

#endif

template <DType kType, ScanInputs kInputs>
__global__ void __launch_bounds__(kThreads, Team<kType>::kBlocksEach)
    ssd_scan_step_stream(const __grid_constant__ SsdScan s) {
#if __CUDA_ARCH__ >= 900
  using T = Team<kType>;
  __shared__ TeamShared<kType> all[T::kTeams];
  const int team = static_cast<int>(threadIdx.x) / T::kLanes;
  TeamShared<kType>& shared = all[team];
  const bool first = threadIdx.x % T::kLanes == 0;
  if (first) {
    for (uint64_t& barrier : shared.arrived) init_barrier(&barrier, 1);
    publish_barriers();
  }
  team_barrier<T::kLanes>();
  let_next_start();
  const Way way(s, static_cast<int32_t>(gridDim.x) * T::kTeams);
  const int32_t number = static_cast<int32_t>(blockIdx.x) * T::kTeams + team;
  const Place place = way.with_token({number / s.heads, number % s.heads});
  if (first && !way.ends(place)) {  // nothing of it is kept here, so it may still be written
    const HeadState state(s.state, way.segment(place).slot, place.head);
    prefetch_bulk(state.data, kStageBytes * (kStates / T::kRows));
  }
  wait_for_previous();
  scan_heads<kType, kInputs>(s, shared, way, place);
#else
  __trap();  // run_ssd_scan_step_stream asks for compute capability 9.0
#endif
}

template <DType kType>
void launch_stream(const SsdScan& s, const Stream& stream) {
  using T = Team<kType>;
  const int32_t blocks = (s.heads * s.segment_count + T::kTeams - 1) / T::kTeams;
  const int32_t at_once = multiprocessors() * T::kBlocksEach;
  const LaunchShape shape = {dim3(static_cast<unsigned>(blocks < at_once ? blocks : at_once)), dim3(kThreads)};
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
