// SPDX-License-Identifier: Apache-2.0
// A token's way through a model as one kernel: what its blocks, one a multiprocessor, carry out one phase after the other. A
// layer of Mamba2 is three phases:
//
//   linear   row: residual += out_proj's output; norm; codes          in_proj: this block's bands of 16 rows
//   scan     conv, step of the state and gate of this block's head    a block a head, or a part of its channels
//   linear   row: gated norm, Hadamard, codes                         out_proj: this block's bands
//
// Rows are computed by every block for itself, in its registers and shared memory. The residual stays in shared memory from the
// embedding to the last layer.
//
// There is no barrier of the grid. Numbers go from phase to phase with a tag, 8 bytes together, and whoever needs one waits for
// its tag. Phase i writes where phase i - kTokenRegions has: nobody reads that any more. For all that a phase writes is
// needed by the next one, so a block that has been given all of a phase's numbers knows that every block that had a share in
// it, or in one before it, has come that far; and a block with a share in any phase has one in every layer, of three phases.
// (Blocks without any, of tiny models, may read what is newer: nobody reads theirs.)
#pragma once

#include "backends/cuda/device/hadamard.cuh"
#include "backends/cuda/device/host_device.h"
#include "backends/cuda/embed_table.cuh"
#include "backends/cuda/linear_parts.cuh"
#include "backends/cuda/scan_state.cuh"

namespace quamba2::cuda {

constexpr int kTokenThreads = 512, kTokenWarps = kTokenThreads / 32;
constexpr int kTokenRegions = 8;
constexpr int kStageTiles = 4;  // tiles of weights that are asked for together
constexpr int kMostStages = 4;  // of a warp, on their way
constexpr int kRowVectors = 4;  // of four columns that a thread has of a row
constexpr int kLongestTokenRow = kRowVectors * 4 * kTokenThreads;
constexpr int kMostRowOps = 6, kMostRotations = 3, kTaps = 4;
constexpr int kMostStateRows = 2;  // of eight channels that a thread has of a state

enum class RowOpKind : uint8_t {
  kEmbed,   // row, residual = the token's embedding
  kSelect,  // row, residual = a row of `from`, by index
  kLoad,    // row = from
  kAdd,     // row, residual = residual + from
  kKept,    // row = residual
  kNorm,    // row = row / sqrt(mean of squares + eps) * weight, by groups
  kRotate,  // row = H row
};

// What a phase hands on: a number, or a code as one, and the tag of the phase.
using Tagged = uint2;

struct RowOp {
  RowOpKind kind;
  int32_t width, groups, rotation, stride;
  float eps;
  const float *weight, *from;  // from: of kSelect
  const Tagged* handed;        // of kLoad and kAdd, by the phase before
};

struct LinearPhase {
  ScaleBy x_by;  // of codes: a tensor's scale, or one that the row asks for
  int32_t outputs, inner, k_tiles, group_shift, shape;
  const float* x_scale;
  const float* row_scales;    // or null
  LinearParts out;            // its data is written where nothing is handed on
  Tagged* handed[kMaxParts];  // or null
  bool adds_residual;         // to the results
};

struct ScanPhase {
  const Tagged *input, *dt, *z;          // [C], [H], [H * P]
  Numbers history, conv_weight;          // [S * (K - 1), C] as the input is stored, [C, K]
  Numbers x, b, c, dt_scales, z_scales;  // how they are stored; their data is not used
  const float* conv_bias;
  int32_t begin[3];  // of x, b and c among the conv's channels
  const float *a_log, *d, *dt_bias;
  float dt_min, dt_max;
  ScanState state;
  bool silu, d_per_channel;
  Tagged* out;  // [heads * width]: y * silu(z)
};

enum class PhaseKind : uint8_t { kLinear, kScan };

struct alignas(16) Phase {
  PhaseKind kind;
  int32_t row_ops;
  RowOp row[kMostRowOps];
  union {
    LinearPhase linear;
    ScanPhase scan;
  };
};
static_assert(sizeof(Phase) % 16 == 0 && sizeof(Phase) / 16 <= kTokenThreads, "threads copy 16 bytes each");

// Linears of as many bands and tiles share how a block's warps split them.
struct LinearShape {
  int32_t bands, k_tiles;
};
constexpr int kMostShapes = 4;

// The weights of a linear phase, which warps ask for ahead of it.
struct alignas(16) WeightStream {
  const char* codes;
  const uint32_t* groups;
  int32_t shape;
  int32_t group_shift;  // tile t of the matrix, counted over its bands, has scales t >> group_shift
  int64_t unused;
};
// A stage in shared memory: its tiles, then a run of scales for each, where there are any.
QUAMBA2_HOST_DEVICE constexpr int32_t stage_bytes_of(WeightKind kind) {
  return kStageTiles * (tile_bytes(kind) + (has_groups(kind) ? 32 : 0));
}

struct TokenProgram {
  const Phase* phases;
  const WeightStream* streams;
  uint32_t before;  // phases of the runs before this one: phase i has the tag before + i + 1
  int32_t phase_count, stream_count;
  WeightKind kind;        // of all linears
  int32_t row_floats;     // of the longest row
  int32_t stages;         // of a warp
  int32_t partial_bands;  // that a warp has tiles of in one phase, at most
  int32_t rotation_count, shape_count;
  const int32_t *ids, *selected;
  const Segment* segments;
  Table table;
  HadamardShape rotation[kMostRotations];
  LinearShape shape[kMostShapes];
  int32_t heads, groups, states, width,
      parts;  // of all scan phases; a head's channels are split in parts, a block each
};

// Shared memory of a block, from its beginning: sizes in bytes, all multiples of 16.
struct TokenShared {
  int32_t stages, kept, values, rotated, partial, signs, streams, phases, scan, late, total;
};
constexpr int kPhasesAhead =
    3;  // descriptions at hand: of the phase before or the one after the next, this one, the next
constexpr int kMostScanFloats = 3 * kTokenThreads;  // x, b, c; sums of warps follow
QUAMBA2_HOST_DEVICE inline TokenShared token_shared(const TokenProgram& p) {
  TokenShared s = {};
  int32_t at = kTokenWarps * p.stages * stage_bytes_of(p.kind);
  const auto take = [&](int32_t bytes) {
    const int32_t here = at;
    at += (bytes + 15) / 16 * 16;
    return here;
  };
  s.kept = take(p.row_floats * 4);
  s.values = take(p.row_floats * 4);
  s.rotated = take(p.row_floats * 4);
  s.partial = take(kTokenWarps * p.partial_bands * kBandRows * 4);
  s.signs = take(p.rotation_count * kLargestCore * kLargestCore * 4);
  s.streams = take(p.stream_count * static_cast<int32_t>(sizeof(WeightStream)));
  s.phases = take(kPhasesAhead * static_cast<int32_t>(sizeof(Phase)));
  s.scan = take((kMostScanFloats + kTokenWarps * 64) * 4);
  s.late = take((kTaps - 1) * kTokenThreads * 4);
  s.total = at;
  return s;
}

// Whether what would run was compiled for 9.0 or newer; also where there is no device to ask.
bool has_token_kernel(WeightKind kind);
// `blocks`: one a multiprocessor.
void launch_token_program(const TokenProgram& p, int32_t blocks, void* stream);

}  // namespace quamba2::cuda
