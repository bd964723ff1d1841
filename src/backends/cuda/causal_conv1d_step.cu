// SPDX-License-Identifier: Apache-2.0
// causal_conv1d of one token a segment with four taps: a thread has four channels, whose weights it turns into floats once
// before the kernel in front has ended, of one segment, or of several where there are many. The bits are those of prompts.
#include "backends/cuda/causal_conv1d_words.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kTaps = kWordTaps, kThreads = 128;

template <bool kCodesIn, bool kCodesOut, int kEach>
__global__ void __launch_bounds__(kThreads) causal_conv1d_step(const __grid_constant__ ConvParameters p) {
  using Word = typename WordOf<kCodesIn>::Type;
  constexpr int kBytes = sizeof(Word) / 4;
  const int32_t c = static_cast<int32_t>(blockIdx.x * kThreads + threadIdx.x) * 4;
  let_next_start();
  const bool idle = c >= p.channels;
  WordTaps taps;
  if (!idle) taps.load<kCodesIn>(p, c);
  wait_for_previous();
  if (idle) return;
  const WordTarget<kCodesOut> out(p, c);
  Segment s[kEach];
  Word words[kEach][kTaps];
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int32_t at = static_cast<int32_t>(blockIdx.y) * kEach + i;
    s[i] = at < p.segments ? p.segment[at] : Segment{};
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    if (s[i].length == 0) continue;
#pragma unroll
    for (int k = 0; k < kTaps; ++k) words[i][k] = input_word<Word>(p, s[i], k + 1 - kTaps, c, kBytes);
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    if (s[i].length == 0) continue;
    Vector<4> window[kTaps];
#pragma unroll
    for (int k = 0; k < kTaps; ++k) window[k] = numbers_in(words[i][k]);
    float y[4];
    taps.convolve(window, p.silu, y);
    out.put(s[i].begin, y);
    char* state = static_cast<char*>(p.state.data) +
                  (static_cast<int64_t>(s[i].slot) * (kTaps - 1) * p.state.stride + c) * kBytes;
#pragma unroll
    for (int k = 1; k < kTaps; ++k) {
      *reinterpret_cast<Word*>(state + static_cast<int64_t>(k - 1) * p.state.stride * kBytes) = words[i][k];
    }
  }
}

template <int kEach>
void launch_step(const ConvParameters& p, WordContent content, const Stream& stream) {
  const auto blocks = static_cast<unsigned>((p.channels / 4 + kThreads - 1) / kThreads);
  const LaunchShape shape = {dim3(blocks, static_cast<unsigned>((p.segments + kEach - 1) / kEach)), dim3(kThreads)};
  launch(content.codes_in
             ? content.codes_out ? causal_conv1d_step<true, true, kEach> : causal_conv1d_step<true, false, kEach>
         : content.codes_out ? causal_conv1d_step<false, true, kEach>
                             : causal_conv1d_step<false, false, kEach>,
         shape, stream, p);
}

}  // namespace

bool run_conv_step(const ConvParameters& p, const Stream& stream) {
  WordContent content;
  if (p.tile != 0 || p.channels % 4 != 0 || !word_content(p, &content)) return false;
  if (p.segments >= 32)
    launch_step<4>(p, content, stream);
  else
    launch_step<1>(p, content, stream);
  return true;
}

}  // namespace quamba2::cuda
