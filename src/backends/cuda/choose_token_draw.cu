// SPDX-License-Identifier: Apache-2.0
// choose_token of rules with a temperature: a block a row. All filters and the draw itself are the same question, asked of the
// row's tokens in the order of their logits: up to which of them does a sum (of tokens, or of weights) reach a target? A histogram of
// the row finds the bin where that is, bisection the logit in it. Sums are of whole numbers, so nothing depends on the order of threads.
#include "backends/cuda/choose_token.cuh"
#include "backends/cuda/device/launch.cuh"
#include "backends/cuda/device/warp.cuh"
#include "base/random.h"

namespace quamba2::cuda {
namespace {

constexpr int kThreads = 1024, kWarps = kThreads / 32;
constexpr int kBinsEach = kLogitBins / kThreads;

struct Shared {
  unsigned long long units[kLogitBins];  // of a bin, then up to its end
  uint32_t count[kLogitBins];
  float few[kThreads];  // the logits of one bin, where they are few
  uint64_t reduce[kWarps + 1];
  uint64_t up_to[kWarps];
  uint32_t found, bin;
};

// Tokens and their weights.
struct Sums {
  uint64_t count = 0, units = 0;
  __device__ __forceinline__ uint64_t of(bool units_wanted) const { return units_wanted ? units : count; }
};

// The first tokens of a row in the order of their logits: all of those whose key is larger, and `equal` of those that have it.
struct Cut {
  uint32_t key;
  uint64_t equal;
  uint64_t units;  // of all
};

template <class Combine>
__device__ __forceinline__ uint64_t block_combine(uint64_t v, Shared* shared, Combine combine) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) v = combine(v, static_cast<uint64_t>(__shfl_xor_sync(kAllLanes, v, d)));
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared->reduce[threadIdx.x / 32] = v;
  __syncthreads();
  v = shared->reduce[threadIdx.x % kWarps];
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) v = combine(v, static_cast<uint64_t>(__shfl_xor_sync(kAllLanes, v, d)));
  return v;
}
__device__ __forceinline__ uint64_t block_total(uint64_t v, Shared* shared) {
  return block_combine(v, shared, [](uint64_t a, uint64_t b) { return a + b; });
}

// Of a value a lane: with those of the lanes before.
__device__ __forceinline__ uint64_t warp_up_to(uint64_t v) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const uint64_t before = __shfl_up_sync(kAllLanes, v, d);
    if (lane >= d) v += before;
  }
  return v;
}

class Row {
 public:
  __device__ Row(const ChoiceRows& rows, int32_t row, Shared* shared)
      : rule_(rows.rules[row]),
        logits_(rows.logits + row * rows.stride),
        shared_(shared),
        bits_(unit_bits(rule_.vocabulary)) {}

  __device__ uint64_t find_largest() {
    uint64_t best = 0;
    each([&](float logit, int32_t id) { best = max(best, ranked(logit, id)); });
    best = block_combine(best, shared_, [](uint64_t a, uint64_t b) { return a > b ? a : b; });
    largest_ = logit_of_key(key_of_ranked(best));
    return best;
  }

  __device__ int32_t draw() {
    const bool keeps_few = rule_.top_k > 0 && rule_.top_k < rule_.vocabulary;
    const uint64_t random = Random(rule_.seed, rule_.draws).next() >> 11 << 11;  // of 2^64
    if (!keeps_few && rule_.top_p >= 1) return draw_by_id(random);
    fill_bins();
    Cut kept = {0, 0, shared_->units[kLogitBins - 1]};
    if (keeps_few) kept = reach(false, static_cast<uint64_t>(rule_.top_k));
    if (rule_.top_p < 1) {
      const auto wanted = static_cast<uint64_t>(ceil(rule_.top_p * static_cast<double>(kept.units)));
      kept = reach(true, min(max(wanted, uint64_t{1}), kept.units));
    }
    const uint64_t total = rule_.min_p > 0 ? units_of_likely(kept) : kept.units;
    const Cut drawn = reach(true, __umul64hi(random, total) + 1);
    return find_equal(drawn.key, drawn.equal);
  }

 private:
  // This thread's tokens. A warp has neighbours, so that its part of the row is in the order of ids.
  template <class F>
  __device__ __forceinline__ void each(F f) const {
    const int32_t begin = first_of_warp(), end = min(begin + part(), rule_.vocabulary);
#pragma unroll 4
    for (int32_t i = begin + static_cast<int32_t>(threadIdx.x % 32); i < end; i += 32) f(logits_[i], i);
  }
  __device__ __forceinline__ int32_t part() const { return (rule_.vocabulary + kThreads - 1) / kThreads * 32; }
  __device__ __forceinline__ int32_t first_of_warp() const {
    return min(static_cast<int32_t>(threadIdx.x / 32) * part(), rule_.vocabulary);
  }
  __device__ __forceinline__ double weight(float logit) const {
    return token_weight(logit, largest_, rule_.temperature);
  }
  __device__ __forceinline__ uint64_t units(float logit) const { return weight_units(weight(logit), bits_); }
  // Of a token that min_p leaves.
  __device__ __forceinline__ uint64_t likely_units(float logit) const {
    const double w = weight(logit);
    return w >= rule_.min_p ? weight_units(w, bits_) : 0;
  }

  // Sums up to the end of each bin.
  __device__ void fill_bins() {
    for (int b = static_cast<int>(threadIdx.x); b < kLogitBins; b += kThreads)
      shared_->units[b] = 0, shared_->count[b] = 0;
    __syncthreads();
    each([&](float logit, int32_t) {
      const int bin = logit_bin(logit, largest_);
      atomicAdd(&shared_->count[bin], 1u);
      const uint64_t u = units(logit);
      if (u != 0) atomicAdd(&shared_->units[bin], static_cast<unsigned long long>(u));
    });
    __syncthreads();
    scan_bins(shared_->units);
    scan_bins(shared_->count);
  }

  template <class Number>
  __device__ void scan_bins(Number* bins) {
    const int first = static_cast<int>(threadIdx.x) * kBinsEach;
    uint64_t own = 0;
    for (int k = 0; k < kBinsEach; ++k) own += bins[first + k];
    uint64_t sum = up_to_thread(own) - own;
    for (int k = 0; k < kBinsEach; ++k) bins[first + k] = static_cast<Number>(sum += bins[first + k]);
    __syncthreads();
  }

  __device__ uint64_t up_to_thread(uint64_t own) {
    uint64_t sum = warp_up_to(own);
    __syncthreads();
    if (threadIdx.x % 32 == 31) shared_->up_to[threadIdx.x / 32] = sum;
    __syncthreads();
    for (unsigned w = 0; w < threadIdx.x / 32; ++w) sum += shared_->up_to[w];
    return sum;
  }

  // The fewest tokens whose count, or weight, reaches `target`, which is at least 1 and no more than all have.
  __device__ Cut reach(bool by_units, uint64_t target) {
    const auto sum_to = [&](int bin) -> uint64_t {
      return bin < 0 ? 0 : by_units ? static_cast<uint64_t>(shared_->units[bin]) : shared_->count[bin];
    };
    if (threadIdx.x == 0) shared_->found = 0;
    for (int b = static_cast<int>(threadIdx.x); b < kLogitBins; b += kThreads) {
      if (sum_to(b) >= target && sum_to(b - 1) < target) shared_->bin = static_cast<uint32_t>(b);
    }
    __syncthreads();
    const int bin = static_cast<int>(shared_->bin);
    const Sums before = {bin == 0 ? 0 : shared_->count[bin - 1], bin == 0 ? 0 : shared_->units[bin - 1]};
    if (shared_->count[bin] - before.count > kThreads) {
      return reach_in(by_units, target, before, [&](auto f) {
        each([&](float logit, int32_t) {
          if (logit_bin(logit, largest_) == bin) f(logit_key(logit), units(logit));
        });
      });
    }
    each([&](float logit, int32_t) {
      if (logit_bin(logit, largest_) == bin) shared_->few[atomicAdd(&shared_->found, 1u)] = logit;
    });
    __syncthreads();
    const bool has_one = threadIdx.x < shared_->found;
    const float logit = has_one ? shared_->few[threadIdx.x] : 0;
    const uint32_t key = logit_key(logit);
    const uint64_t own_units = has_one ? units(logit) : 0;
    return reach_in(by_units, target, before, [&](auto f) {
      if (has_one) f(key, own_units);
    });
  }

  // `tokens` calls with the key and units of this thread's tokens of the bin, before which are `before`.
  template <class Tokens>
  __device__ Cut reach_in(bool by_units, uint64_t target, Sums before, Tokens tokens) {
    const auto from_key = [&](uint32_t least, bool wants_units) {
      uint64_t sum = 0;
      tokens([&](uint32_t key, uint64_t u) { sum += key >= least ? (wants_units ? u : 1) : 0; });
      return block_total(sum, shared_);
    };
    uint32_t key = 0;
    for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
      if (before.of(by_units) + from_key(key | bit, by_units) >= target) key |= bit;
    }
    const Sums above = {before.count + from_key(key + 1, false), before.units + from_key(key + 1, true)};
    const uint64_t each_units = units(logit_of_key(key)), of_one = by_units ? each_units : 1;
    const uint64_t equal = (target - above.of(by_units) + of_one - 1) / of_one;
    return {key, equal, above.units + equal * each_units};
  }

  // What min_p leaves of a cut. (Of no cut the key is 0.)
  __device__ uint64_t units_of_likely(const Cut& kept) {
    if (kept.key != 0 && weight(logit_of_key(kept.key)) >= rule_.min_p) return kept.units;
    uint64_t sum = 0;
    each([&](float logit, int32_t) {
      if (logit_key(logit) > kept.key) sum += likely_units(logit);
    });
    return block_total(sum, shared_);
  }

  // Where sums of one number a token, in the order of ids, reach `target`: the token's id.
  template <class Number>
  __device__ int32_t find_by_id(Number number, uint64_t own, uint64_t target) {
    if (threadIdx.x == 0) shared_->found = 0;
    uint64_t before = 0;
    const uint64_t warp_sum = __shfl_sync(kAllLanes, warp_up_to(own), 31);
    __syncthreads();
    if (threadIdx.x % 32 == 0) shared_->up_to[threadIdx.x / 32] = warp_sum;
    __syncthreads();
    for (unsigned w = 0; w < threadIdx.x / 32; ++w) before += shared_->up_to[w];
    if (before < target && target <= before + warp_sum) {  // one warp
      const int32_t begin = first_of_warp(), end = min(begin + part(), rule_.vocabulary);
      for (int32_t at = begin; at < end; at += 32) {
        const int32_t id = at + static_cast<int32_t>(threadIdx.x % 32);
        const uint64_t sum = before + warp_up_to(id < end ? number(logits_[id]) : 0);
        const unsigned reached = __ballot_sync(kAllLanes, sum >= target);
        if (reached != 0) {
          if (threadIdx.x % 32 == 0) shared_->found = static_cast<uint32_t>(at + __ffs(static_cast<int>(reached)) - 1);
          break;
        }
        before = __shfl_sync(kAllLanes, sum, 31);
      }
    }
    __syncthreads();
    return static_cast<int32_t>(shared_->found);
  }

  __device__ int32_t find_equal(uint32_t key, uint64_t which) {
    const auto is_equal = [&](float logit) -> uint64_t { return logit_key(logit) == key; };
    uint64_t own = 0;
    each([&](float logit, int32_t) { own += is_equal(logit); });
    return find_by_id(is_equal, own, which);
  }

  __device__ int32_t draw_by_id(uint64_t random) {
    uint64_t own = 0;
    each([&](float logit, int32_t) { own += likely_units(logit); });
    const uint64_t total = block_total(own, shared_);
    return find_by_id([&](float logit) { return likely_units(logit); }, own, __umul64hi(random, total) + 1);
  }

  const TokenRule rule_;
  const float* logits_;
  Shared* shared_;
  int bits_;
  float largest_ = 0;
};

__global__ void __launch_bounds__(kThreads) choose_token_draw(const __grid_constant__ ChoiceRows rows) {
  __shared__ Shared shared;
  let_next_start();
  wait_for_previous();
  const auto row = static_cast<int32_t>(blockIdx.x);
  if (rows.rules[row].temperature == 0) return;
  Row drawn(rows, row, &shared);
  uint64_t best = drawn.find_largest();
  const uint32_t key = key_of_ranked(best);
  if (key != kNanKey && key != kMinusInfinityKey) best = ranked(logit_of_key(key), drawn.draw());
  if (threadIdx.x != 0) return;
  tell_choice(rows, row, best);
  ++rows.rules[row].draws;
}

}  // namespace

void launch_choose_token_draw(const ChoiceRows& rows, int32_t count, const Stream& stream) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(count));
  shape.block = dim3(kThreads);
  launch(choose_token_draw, shape, stream, rows);
}

}  // namespace quamba2::cuda
