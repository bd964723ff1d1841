// SPDX-License-Identifier: Apache-2.0
// The guarded memory of one kernel problem: operands with misaligned starts and odd strides, canaries around them, and
// a snapshot to compare with afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/memory.h"
#include "base/random.h"
#include "support/under_test.h"
#include "tensor/operand.h"

namespace quamba2::testing {

enum class Values : uint8_t {
  kNormal,
  kZero,
  kHugeChannel,  // normal, and one channel 1000 times larger
  kDenormal,     // a few smallest steps of f32
  kEnds          // +-`spread` exactly
};

// Segments of one token in front of the first longer one, as executors count them.
inline int32_t singles_of(const std::vector<Segment>& segments) {
  int32_t count = 0;
  while (count < static_cast<int32_t>(segments.size()) && segments[static_cast<size_t>(count)].length == 1) ++count;
  return count;
}

// How an operand is stored and filled.
struct Spec {
  DType storage = DType::kF32;
  Grain grain = Grain::kTensor;  // of integers; kRow: dynamic, one a row
  bool dynamic = false;          // of a state with kColumn
  bool along_states = false;     // scales of a state, kColumn: one a number of it
  Values values = Values::kNormal;
  double mean = 0, spread = 1;
  double clip = 1;   // integers: the scale as a share of absmax / 127; below 1 saturates
  int row_pad = 0;   // unused elements between rows
  int misalign = 0;  // elements by which the start misses its alignment
};

class Workspace {
 public:
  explicit Workspace(uint64_t seed) : random(seed) {}
  Random random;

  // Uninitialised (0xff) elements between canaries.
  TensorView view(DType dtype, const std::vector<int32_t>& dims, int row_pad = 0, int misalign = 0);
  // f32 parameters; normal numbers.
  TensorView floats(const std::vector<int32_t>& dims, double mean, double spread, int misalign = 0);
  TensorView indices(const std::vector<int32_t>& values);
  // An operand filled as its spec says. Column scales of a state [S, H, N, P] are [H, P], [H, N, P] or [S, H, P], those
  // of a state [S, N, E] [E], [N, E] or [S, E]; else [columns].
  Operand operand(const std::vector<int32_t>& dims, const Spec& spec);
  // The same with the scales of another operand.
  Operand operand_like(const std::vector<int32_t>& dims, const Spec& spec, const Operand& scales_of);
  // An output: integers get their scale from the reference's results (set_output_scales).
  Operand output(const std::vector<int32_t>& dims, const Spec& spec);
  const Segment* segments(const std::vector<Segment>& list);
  // Room for a kernel: 64-byte aligned bytes (0xff, or zeros) between canaries.
  void* bytes(size_t count, int fill);

  // All memory, canaries included, and segments.
  std::vector<Block> blocks() const;

  void take_snapshot();
  void restore() const;
  // True if all memory is as in the snapshot.
  bool unchanged() const;
  // Puts the elements of `operand` back as they were in the snapshot.
  void restore_elements(const Operand& operand) const;

 private:
  struct Guarded {
    AlignedBuffer memory;
    std::vector<unsigned char> snapshot;
  };
  unsigned char* allocate(size_t bytes, size_t shift, int fill);
  void fill(const Operand& operand, const Spec& spec, bool choose_scales);

  std::vector<Guarded> blocks_;
  std::vector<std::unique_ptr<std::vector<Segment>>> segments_;
};

// Index of the scale of element (row, column) among all of its operand's.
int64_t scale_index(const Operand& operand, int64_t row, int64_t column);

// The dynamic scales of an operand as numbers of their own.
Operand scales_operand(const Operand& operand);

// Scales of an integer output from its exact values: `clip` * absmax / 127, one a tensor or a column.
void set_scales(const Operand& output, const std::vector<double>& exact, double clip);

}  // namespace quamba2::testing
