// SPDX-License-Identifier: Apache-2.0
// What kernels receive: where numbers lie and how they are stored. Plain structs, safe to include in ISA code.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace quamba2 {

// Rank 1 to 4, innermost stride 1. Strides are in elements. Sub-byte rows (kI4, kI6) start on a 32-bit word.
struct TensorView {
  void* data = nullptr;
  int32_t dim[4] = {0, 0, 0, 0};
  int32_t stride[4] = {0, 0, 0, 0};
  DType dtype = DType::kF32;
  uint8_t rank = 0;
};

// How finely scales are given.
enum class Grain : uint8_t {
  kTensor,  // one scale                                        scales [1]
  kRow,     // one a row: of a weight matrix [N, K]              scales [N]; of activations [T, C], dynamic: scales [T]
  kGroup,  // one a row and group of `group` elements along K  scales [N, ceil(K / group)]; the last group may be shorter
  kColumn  // one an innermost index: channels of an activation [T, C]: scales [C]; of a state [S, N, E] or [S, H, N, P]:
  // scales [E] or [H, P], [N, E] or [H, N, P] where they differ along N too, and, a part of the state, [S, N / 32, E]
  // or [S, H, N / 32, P] where they are dynamic
};

struct ScaleLevel {
  Grain grain = Grain::kTensor;
  int16_t group = 0;  // elements a group, for kGroup
  DType dtype = DType::kF32;
};

// How numbers are stored; orthogonal fields, no combinations. Integer storage is symmetric: value = code * scale, with
// kI4 codes 0..15 standing for code - 8 and kI6 codes 0..63 for code - 32.
struct Format {
  DType storage = DType::kF32;
  ScaleLevel level[2];
  uint8_t levels = 0;    // scales in use: 0 for floats
  bool dynamic = false;  // scales are computed by whatever writes the numbers: max|v| / 127 of those that share one
};

constexpr bool operator==(const ScaleLevel& a, const ScaleLevel& b) {
  return a.grain == b.grain && a.group == b.group && a.dtype == b.dtype;
}
constexpr bool operator==(const Format& a, const Format& b) {
  return a.storage == b.storage && a.levels == b.levels && a.dynamic == b.dynamic &&
         (a.levels < 1 || a.level[0] == b.level[0]) && (a.levels < 2 || a.level[1] == b.level[1]);
}

// Activations whose rows have a scale each, known when the row is written.
constexpr bool is_dynamic_row(const Format& f) {
  return f.dynamic && f.storage == DType::kI8 && f.levels == 1 && f.level[0].grain == Grain::kRow &&
         f.level[0].dtype == DType::kF32;
}

// Numbers of a channel, neighbours along N, that share a dynamic scale; the last block of a channel may be shorter.
constexpr int kStateBlock = 32;
constexpr int state_blocks(int64_t states) { return static_cast<int>((states + kStateBlock - 1) / kStateBlock); }

// States whose channels have a scale for each block of N, known when the state is written.
constexpr bool is_dynamic_state(const Format& f) {
  return f.dynamic && f.storage == DType::kI8 && f.levels == 1 && f.level[0].grain == Grain::kColumn &&
         f.level[0].dtype == DType::kF32;
}

// Numbers together with what decodes them.
struct Operand {
  TensorView values;
  TensorView scales[2];  // level 0, level 1; empty where unused
  Format format;
};

// One output of a node is often read in parts (in_proj gives z, x, B, C, dt). Each part is written where its reader
// wants it, in its own format: columns [begin[i], begin[i + 1]) go to part[i], which is [T, begin[i + 1] - begin[i]].
constexpr int kMaxParts = 6;
struct OutputParts {
  Operand part[kMaxParts];
  int32_t begin[kMaxParts + 1] = {};
  int32_t count = 0;
};

// A run of tokens of one sequence inside a batch: rows [begin, begin + length), state in slot `slot`.
struct Segment {
  int32_t begin = 0, length = 0, slot = 0;
};

}  // namespace quamba2
