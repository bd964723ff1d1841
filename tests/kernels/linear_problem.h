// SPDX-License-Identifier: Apache-2.0
// Random problems of `linear` for tests: operands of any format at odd addresses, outputs in parts between canaries.
#pragma once

#include <memory>
#include <vector>

#include "backend/kernel.h"
#include "base/memory.h"
#include "base/random.h"
#include "support/under_test.h"
#include "tensor/operand.h"
#include "tensor/packing.h"

namespace quamba2::linear_test {

enum class Values { kNormal, kExtremes, kTiny, kHuge, kZeroScales };

struct Shape {
  int32_t tokens = 1, outputs = 1, inner = 1;
};

// Owns the memory of one problem.
class Problem {
 public:
  Problem(Shape shape, Format x, Format weight, Values values, uint64_t seed);

  LinearArgs args;
  std::vector<double> exact, magnitude;  // [T, N]: results, and sums of |x * w| + |bias|
  std::vector<double> by_largest;        // [T, N]: largest |x| of the token times the sum of |w|

  // New outputs for the first `tokens` rows: random parts of random formats and row strides, all bytes 0xff (a NaN).
  void make_outputs(bool floats_only);
  void poison();
  std::vector<uint8_t> output_bytes() const;  // of the elements, row after row
  bool canaries_intact() const;
  std::vector<testing::Block> blocks();
  float largest_scale = 0;

 private:
  uint8_t* allocate(size_t bytes, bool odd);
  Operand make(Format format, int32_t rows, int32_t columns, bool odd);
  void fill(Operand& operand, Values values);
  float draw(Values values);

  Shape shape_;
  Random random_;
  std::vector<std::vector<uint8_t>> memory_;
  std::vector<size_t> part_memory_;
};

Format float_format(DType type);
Format integer_format(DType type, Grain grain, int group, DType scale);
Format two_level_format(int group);
Format dynamic_format();  // i8 activations with a scale a row
Format random_weight(Random& random, int32_t inner);

}  // namespace quamba2::linear_test
