// SPDX-License-Identifier: Apache-2.0
// causal_conv1d of prompts with four taps: a thread has four channels of a tile of tokens. Which numbers it reads and writes
// is known when it is compiled, so that the words of several tokens are on their way at once; scales of codes are multiplied
// into the weights.
#include "backends/cuda/causal_conv1d_words.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kTaps = kWordTaps, kBatch = 8;  // tokens whose words are loaded together

template <bool kCodesIn, bool kCodesOut>
__global__ void __launch_bounds__(128) causal_conv1d_prompt(const __grid_constant__ ConvParameters p) {
  using Word = typename WordOf<kCodesIn>::Type;
  const int32_t c = static_cast<int32_t>(blockIdx.x * blockDim.x + threadIdx.x) * 4;
  const bool idle = c >= p.channels;
  let_next_start();
  WordTaps taps;
  if (!idle) taps.load<kCodesIn>(p, c);  // what does not depend on the kernel in front
  wait_for_previous();
  int32_t tile = static_cast<int32_t>(blockIdx.y);
  Segment s;
  if (idle || !find_tile(p, tile, s)) return;
  const WordTarget<kCodesOut> out(p, c);
  const int32_t first = tile * p.tile, end = min(first + p.tile, s.length);
  Vector<4> window[kTaps];
#pragma unroll
  for (int k = 0; k < kTaps - 1; ++k) {
    window[k] = numbers_in(input_word<Word>(p, s, first - (kTaps - 1) + k, c, sizeof(Word) / 4));
  }
  const Word* x = reinterpret_cast<const Word*>(static_cast<const char*>(p.x.data) +
                                                (static_cast<int64_t>(s.begin) * p.x.stride + c) * (sizeof(Word) / 4));
  const int64_t step = p.x.stride / 4;
  for (int32_t t = first; t < end; t += kBatch) {
    Word words[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) words[i] = x[min(t + i, end - 1) * step];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (t + i >= end) break;
      window[kTaps - 1] = numbers_in(words[i]);
      float y[4];
      taps.convolve(window, p.silu, y);
#pragma unroll
      for (int k = 0; k + 1 < kTaps; ++k) window[k] = window[k + 1];
      out.put(s.begin + t + i, y);
    }
  }
  // Only a segment's first tile reads its state, so it is the one that writes it.
  if (tile == 0) move_state<Word, kTaps>(p, s, c, sizeof(Word) / 4);
}

}  // namespace

bool run_conv_prompt(const ConvParameters& p, const ConvConfig& config, const Stream& stream) {
  WordContent content;
  if (p.tile == 0 || !word_content(p, &content)) return false;
  const LaunchShape shape = {dim3(static_cast<unsigned>(config.blocks), static_cast<unsigned>(config.tiles)),
                             dim3(static_cast<unsigned>(config.threads))};
  launch(content.codes_in    ? content.codes_out ? causal_conv1d_prompt<true, true> : causal_conv1d_prompt<true, false>
            : content.codes_out ? causal_conv1d_prompt<false, true>
                             : causal_conv1d_prompt<false, false>,
         shape, stream, p);
  return true;
}

}  // namespace quamba2::cuda
