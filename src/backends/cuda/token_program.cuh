// SPDX-License-Identifier: Apache-2.0
// A token's way through a model as one kernel: what its blocks, one a multiprocessor, carry out one phase after the other. A
// layer of Mamba2 is three phases:
//
//   linear   row: residual += out_proj's output; norm; codes          in_proj: this block's bands of 16 rows
//   scan     conv, step of the state and gate of this block's head    a block a head, or a part of its channels
//   linear   row: gated norm, Hadamard, codes                         out_proj: this block's bands
//
// Rows are computed by every block for itself, in its registers and shared memory. The residual stays in shared memory from the
// embedding to the last layer. At batch 1 a phase is short: what costs is how many instructions lie between the last number that
// a block waits for and the first that it hands on, each fetched for one use. So all that is known before a token is brought
// into one form when the program is compiled (ResultColumn, ConvColumn), and the kernel has one path through it.
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
#include "backends/cuda/linear_layout.h"
#include "backends/cuda/scan_state.cuh"

namespace quamba2::cuda {

constexpr int kTokenThreads = 512, kTokenWarps = kTokenThreads / 32;
constexpr int kTokenRegions = 8;
constexpr int kStageTiles = 4;  // tiles of weights that are asked for together
constexpr int kMostStages = 4;  // of a warp, on their way
constexpr int kRowVectors = 4;  // of four columns that a thread has of a row
constexpr int kLongestTokenRow = kRowVectors * 4 * kTokenThreads;
constexpr int kMostRotations = 3, kTaps = 4;
constexpr int kMostStateRows = 2;  // of eight channels that a thread has of a state
constexpr int kMostGroups = 16;    // of a norm
constexpr int kLargestRest = 3;    // levels of a rotation behind its core

// What a phase hands on: a number, or a code as one, and the tag of the phase.
using Tagged = uint2;

enum class RowSource : uint8_t {
  kHanded,  // what the phase before hands on
  kEmbed,   // the token's embedding
  kSelect,  // a row of `from`, by index
  kKept,    // the residual
};

// How a row is rotated.
enum class RowTurn : uint8_t {
  kNone,
  kAny,    // by hadamard.cuh, in passes
  kTwelve, kTwenty, kTwentyEight, kSixteen,  // in parts: see token_rotate.cuh
};

// What a linear phase does to come to its row: source; + residual; a first rotation; norm; rotation.
struct RowForm {
  RowSource source;
  RowTurn turn;
  bool adds, keeps;  // the residual; itself as the residual
  bool has_norm;
  int32_t width, groups, stride, rotation;
  int32_t first_rotation;            // -1: none
  int32_t channels_shift, levels;  // of a rotation in parts: what scan phases did, and what is left behind the core
  int32_t square_count;
  float eps;
  const float *weight, *from;      // weight: null for ones. from: of kSelect
  const Tagged *handed, *squares;  // squares: sums of squares of parts of the row, or null
};

// All that a row of weights needs beside its products.
struct alignas(16) ResultColumn {
  float scale, bias;
  float code_scale;  // of the result's code; negative where it is handed on as a float
  uint32_t to;       // where, from the phase's `handed` or `data`
};

struct LinearPhase {
  RowForm row;
  int32_t outputs, inner, k_tiles, group_shift, shape;
  bool x_is_dynamic;                    // its scale is that of the row
  float x_scale, x_up, x_inverse;       // static; code_factor of x_scale
  const ResultColumn* results;          // [bands * 16]
  Tagged* handed;                       // or null
  float* data;
  bool adds_residual;  // to results that are not handed on
};

// A channel of the conv: its taps, and what decodes its input and encodes its output.
struct alignas(16) ConvColumn {
  float weight[kTaps];
  float bias, in_scale;
  float out_scale;  // negative: floats
  float unused;
};
struct alignas(16) ScanHead {
  float dt_scale, dt_bias, a_log, unused;
};
// Of a channel of y: what decodes z, and D.
struct alignas(8) ScanChannel {
  float z_scale, skip;
};

struct ScanPhase {
  const Tagged *input, *dt, *z;  // [C], [H], [H * P]
  const ConvColumn* conv;        // [C]
  const ScanHead* heads;         // [H]
  const ScanChannel* channels;   // [H * P]
  void* history;                 // [S * (K - 1), C], as the input is stored
  int32_t history_stride;
  int32_t begin[3];  // of x, b and c among the conv's channels
  float dt_min, dt_max;
  ScanState state;
  bool history_is_codes, silu;
  bool rotates;     // the block's channels are handed on as their Sylvester transform
  Tagged* out;      // [H * P]: y * silu(z)
  Tagged* squares;  // [blocks that work]: sums of squares of what is handed on, before it is transformed; or null
};

enum class PhaseKind : uint8_t { kLinear, kScan };

struct alignas(16) Phase {
  PhaseKind kind;
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
  int32_t stages, kept, values, other, partial, streams, phases, scan, late, total;
};
constexpr int kPhasesAhead = 4;  // descriptions at hand: of the phase before, this one, the next two
constexpr int kMostScanFloats = 3 * kTokenThreads;  // x, b, c; sums of warps follow
constexpr int kStaticSharedBytes = 8192;  // at most, beside what follows
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
  s.other = take(p.row_floats * 4);
  s.partial = take(kTokenWarps * p.partial_bands * kBandRows * 4);
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
