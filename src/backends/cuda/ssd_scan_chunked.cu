// SPDX-License-Identifier: Apache-2.0
// ssd_scan in chunks of Q = 128 tokens (arXiv 2405.21060, section 6) on tensor cores, for 64 channels a head and 64 or 128
// states. With alpha_i the sum of a delta over a chunk's tokens up to i:
//
//   ssd_chunk_states   sum over j of exp(alpha_last - alpha_j) delta_j B_j x_j       a block a (chunk, head)
//                      delta, alpha and their exponentials                           the same block
//   ssd_chunk_carry    S = exp(alpha_last) S + that sum, chunk after chunk           a thread eight numbers of a head
//                      fragments of C, C_i . B_j                                     four blocks a chunk and group
//   ssd_chunk_outputs  Y_i = exp(alpha_i) C_i S + sum over j <= i of C_i . B_j delta_j exp(alpha_i - alpha_j) x_j + D x_i
//                      a block a (chunk, head)
//
// Only ssd_chunk_carry goes from chunk to chunk, and it multiplies nothing else. Factors are sums of two bf16
// (device/split.cuh), codes of 8 bits one bf16, exactly; exponents are differences of sums in double, so that nothing cancels.
#include "backends/cuda/ssd_scan_chunks.cuh"

namespace quamba2::cuda {
namespace {

constexpr int kLeastRun = 16;  // tokens between two roundings of the state, below which chunks are not worth it

template <int kStates>
void launch_chunked(const SsdScan& s, int32_t most_chunks, const Stream& stream) {
  auto* tiles = reinterpret_cast<ChunkTiles<kStates>*>(stream.scratch);
  const int64_t chunks = most_chunks;
  auto* states = reinterpret_cast<ChunkState<kStates>*>(tiles + chunks * s.groups);
  const ChunkMemory<kStates> memory = {tiles, reinterpret_cast<ChunkSteps*>(states + chunks * s.heads), states};
  const bool codes = inputs_of(s.x, s.x, s.b, s.c) == ScanInputs::kCodes && reads_sixteen(s.x) &&
                     reads_sixteen(s.b) && reads_sixteen(s.c);
  launch_chunk_states<kStates>(s, memory, most_chunks, codes, stream);
  launch_chunk_carry<kStates>(s, memory, most_chunks, codes, stream);
  launch_chunk_outputs<kStates>(s, memory, most_chunks, codes, stream);
}

}  // namespace

bool has_ssd_scan_chunked(const SsdScan& s) {
  return s.width == kWidth && (s.states == 64 || s.states == 128) && (s.state_every == 0 || s.state_every >= kLeastRun);
}

int64_t most_ssd_chunks(const SsdScan& s, int64_t segments) {
  const int64_t run = s.state_every > 0 ? s.state_every : kChunk;
  return (s.tokens / run + segments) * ((run + kChunk - 1) / kChunk);
}

int64_t ssd_chunked_scratch(const SsdScan& s, int64_t segments) {
  const int64_t tiles = s.states == 128 ? sizeof(ChunkTiles<128>) : sizeof(ChunkTiles<64>);
  const int64_t state = s.states == 128 ? sizeof(ChunkState<128>) : sizeof(ChunkState<64>);
  return most_ssd_chunks(s, segments) *
         (s.groups * tiles + s.heads * (state + static_cast<int64_t>(sizeof(ChunkSteps))));
}

void run_ssd_scan_chunked(const SsdScan& s, const Stream& stream) {
  const auto chunks = static_cast<int32_t>(most_ssd_chunks(s, s.segment_count));
  if (s.states == 128)
    launch_chunked<128>(s, chunks, stream);
  else
    launch_chunked<64>(s, chunks, stream);
}

}  // namespace quamba2::cuda
