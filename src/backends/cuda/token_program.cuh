// SPDX-License-Identifier: Apache-2.0
// A token's way through a model as one kernel: what its blocks, one a multiprocessor, carry out layer after layer of Mamba2, in
// three phases each:
//
//   in_proj    row: residual += out_proj's results; norm; codes      products with this block's bands of 16 weight rows
//   scan       conv, step of the state and gate of this block's head, or of a part of its channels
//   out_proj   row: gated norm, Hadamard, codes                      products with this block's bands
//
// or, without layers, the head alone. Rows are computed by every block for itself; the residual stays in its registers from the
// embedding to the last layer. At batch 1 a phase is short: what costs is how many instructions lie between the last number that
// a block waits for and the first that it hands on. So shapes are arguments of the launch, and all else that is known before a
// token (scales, taps, factors) is one table a layer, made when the program is compiled.
//
// There is no barrier of the grid. A number goes from phase to phase with a mark in its lowest bit (token_exchange.cuh), and
// whoever needs it waits for the mark. Each kind of phase hands on in two places in turn, layer by layer: when a block writes
// what it wrote two layers ago, it has been given numbers that could not be there unless all blocks had read those. (Blocks
// without any share, of tiny models, may read what is newer: nobody reads theirs.)
#pragma once

#include "backends/cuda/device/hadamard.cuh"
#include "backends/cuda/device/host_device.h"
#include "backends/cuda/embed_table.cuh"
#include "backends/cuda/linear_layout.h"
#include "ops/linear.h"

namespace quamba2::cuda {

constexpr int kTokenThreads = 512, kTokenWarps = kTokenThreads / 32;
constexpr int kStageTiles = 4;  // tiles of weights that are asked for together
constexpr int kMostStages = 4;  // of a warp, on their way
constexpr int kTaps = 4;
constexpr int kRowVectors = 2, kInnerVectors = 4;  // of four columns that a thread has of the residual, of a scan's row
constexpr int kMostPasses = 8;                     // a thread has two channels of one row of a state in each
constexpr int kMostTurnTiles = 4;                  // of a warp: 16 x 8 numbers of a rotated row
constexpr int kMostNormGroups = 16, kMostParts = 160;
constexpr int kLevels = 3;  // of bf16 that make up a number

// All that a row of weights needs beside its products.
struct alignas(16) ResultColumn {
  float scale, bias;
  float inverse;  // of the scale of the result's code; negative where it is handed on as it is
  float unused;
};
// A channel of the conv: its taps, and what decodes its input and encodes its output.
struct alignas(16) ConvColumn {
  float weight[kTaps];
  float bias, in_scale, out_scale;
  float out_inverse;  // negative: floats
};
struct alignas(16) ScanHead {
  float dt_scale, dt_bias;
  float a;  // -exp(a_log)
  float unused;
};
// A channel of y: what decodes z; D; the gated norm's weight.
struct alignas(16) ScanChannel {
  float z_scale, skip, weight, unused;
};
// The scale of a linear's input where it is static, and its inverse.
struct StaticScale {
  float scale, inverse;
};

// What differs from layer to layer. The head alone has one without a scan, its results under `in`.
struct alignas(16) LayerTables {
  const ResultColumn *in, *out;  // [bands * 16]
  const float* norm;             // [D], or null for ones
  const ConvColumn* conv;        // [C]
  const ScanHead* heads;         // [H]
  const ScanChannel* channels;   // [H * P]
  char *history, *state;
  StaticScale x_in, x_out;
};

struct alignas(16) WeightStream {
  const char* codes;
  const uint32_t* groups;
};

struct LinearShape {
  int32_t bands, k_tiles, inner, outputs;
  int32_t group_shift;  // tile t of the matrix, counted over its bands, has scales t >> group_shift
  bool x_is_dynamic;    // its scale is that of the row
};
constexpr int kShapes = 2;  // of in_proj, or the head; of out_proj

enum class RowSource : uint8_t { kEmbed, kSelect };

struct ScanShape {
  int32_t heads, parts, groups, states, width;  // a head's channels are split in parts, a block each
  int32_t z, x, b, c, dt;                       // where they begin among in_proj's results
  int32_t conv_x, conv_b, conv_c;               // and among the conv's channels
  int64_t slot_stride, head_stride, row_stride;  // of the state, elements
  int32_t history_stride;
  float dt_min, dt_max;
  bool history_is_codes, silu, state_is_half;
};

// What follows the scan: norm by groups, then a rotation, as one product: numbers of a part are neighbours, and what is left
// of the transform after each part's own acts on parts (token_turn.cuh).
struct TurnShape {
  bool has_norm, rotates;
  int32_t groups;
  float eps, scale;  // scale: of the rotation
  int32_t tiles;     // of 16 parts
  int32_t channel_shift;  // a part has 1 << channel_shift channels
  const uint4* mix;  // [tiles][tiles][32]: fragments of the tensor cores' left operand
};

struct TokenProgram {
  const LayerTables* layers;
  const WeightStream* streams;  // of in_proj and out_proj in turn
  int32_t layer_count, stream_count;
  uint32_t before;  // layers of the runs before this one, and two
  WeightKind kind;  // of all linears
  int32_t stages;   // of a warp
  int32_t partial_bands;  // that a warp has tiles of in one phase, at most
  LinearShape shape[kShapes];
  int32_t width;  // of the residual
  float eps;
  RowSource source;
  const int32_t *ids, *selected;
  const float* from;
  int32_t from_stride;
  HadamardShape begin_turn, head_turn;  // of the row at its beginning; behind the head's norm. Of width 0: none
  Table table;
  const Segment* segments;
  ScanShape scan;
  TurnShape turn;
  uint32_t *in_results, *scan_results, *out_results;  // two of each
  int32_t in_words, scan_words, out_words;            // of one
  float* data;  // the residual after the last layer, or the head's results
};

// Sizes of a stage in shared memory: its tiles, then a run of scales for each, where there are any; of a row as an operand.
QUAMBA2_HOST_DEVICE constexpr int32_t stage_bytes_of(WeightKind kind) {
  return kStageTiles * (tile_bytes(kind) + (has_groups(kind) ? 32 : 0));
}
QUAMBA2_HOST_DEVICE constexpr int32_t operand_bytes(WeightKind kind, const LinearShape& s) {
  return s.k_tiles * tile_columns(kind) * (multiplies_codes(kind) ? 1 : 4);
}
// Eight more numbers a row, so that rows begin in different banks.
QUAMBA2_HOST_DEVICE constexpr int32_t turn_row_bytes(int32_t channels) { return (channels + 8) * 2; }

// Shared memory of a block, from its beginning: sizes in bytes, all multiples of 16.
struct TokenShared {
  int32_t stages, x_in, x_out, partial, streams, layers, scan, sums, mix, turn, row, total;
};
constexpr int32_t kScanFloats = kTokenThreads + 16;  // x, b, c, gates; delta and decay
QUAMBA2_HOST_DEVICE inline TokenShared token_shared(const TokenProgram& p) {
  TokenShared s = {};
  int32_t at = kTokenWarps * p.stages * stage_bytes_of(p.kind);
  const auto take = [&](int32_t bytes) {
    const int32_t here = at;
    at += (bytes + 15) / 16 * 16;
    return here;
  };
  const int32_t channels = p.layer_count > 0 ? p.scan.width / p.scan.parts : 0;
  s.x_in = take(operand_bytes(p.kind, p.shape[0]));
  s.x_out = take(operand_bytes(p.kind, p.shape[1]));
  s.partial = take(kTokenWarps * p.partial_bands * kBandRows * 4);
  s.streams = take(p.stream_count * static_cast<int32_t>(sizeof(WeightStream)));
  s.layers = take((p.layer_count > 0 ? p.layer_count : 1) * static_cast<int32_t>(sizeof(LayerTables)));
  s.scan = take(kScanFloats * 4);
  s.sums = take(kTokenWarps * channels * 4);
  s.mix = take(p.turn.tiles * p.turn.tiles * 512);
  s.turn = take(kLevels * p.turn.tiles * 16 * turn_row_bytes(channels));
  s.row = take(p.begin_turn.width > 0 || p.head_turn.width > 0 ? p.width * 4 : 0);
  s.total = at;
  return s;
}
constexpr int kStaticSharedBytes = 8192;  // at most, beside these

// Whether what would run was compiled for 9.0 or newer; also where there is no device to ask.
bool has_token_kernel(WeightKind kind);
// `blocks`: one a multiprocessor.
void launch_token_program(const TokenProgram& p, int32_t blocks, void* stream);

}  // namespace quamba2::cuda
