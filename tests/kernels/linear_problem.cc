// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear_problem.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/convert.h"

namespace quamba2::linear_test {

Format float_format(DType type) {
  Format f;
  f.storage = type;
  return f;
}

Format integer_format(DType type, Grain grain, int group, DType scale) {
  Format f;
  f.storage = type;
  f.levels = 1;
  f.level[0] = {grain, static_cast<int16_t>(group), scale};
  return f;
}

Format two_level_format(int group) {
  Format f = integer_format(DType::kI4, Grain::kGroup, group, DType::kF16);
  f.levels = 2;
  f.level[1] = {Grain::kRow, 0, DType::kF32};
  return f;
}

Format random_weight(Random& random, int32_t inner) {
  const DType scale = random.below(2) == 0 ? DType::kF16 : DType::kF32;
  const DType types[] = {DType::kI4, DType::kI6, DType::kI8};
  switch (random.below(10)) {
    case 0: return float_format(DType::kF32);
    case 1: return float_format(DType::kF16);
    case 2: return float_format(DType::kBF16);
    case 3: return integer_format(DType::kI8, Grain::kTensor, 0, DType::kF32);
    case 4:
    case 5: return integer_format(types[random.below(3)], Grain::kRow, 0, scale);
    case 6:  // every second group as linear_w4a8 wants it
      return two_level_format(random.below(2) ? 32 * (1 + static_cast<int>(random.below(6)))
                                              : 1 + static_cast<int>(random.below(inner + 3)));
    default: {
      const int groups[] = {1, 3, 8, 16, 32, 64, 64, 128, 1 + static_cast<int>(random.below(inner + 3))};
      return integer_format(types[random.below(3)], Grain::kGroup, groups[random.below(9)], scale);
    }
  }
}

Format dynamic_format() {
  Format f = integer_format(DType::kI8, Grain::kRow, 0, DType::kF32);
  f.dynamic = true;
  return f;
}

uint8_t* Problem::allocate(size_t bytes, bool odd) {
  memory_.emplace_back(bytes + 64, static_cast<uint8_t>(0xff));
  return memory_.back().data() + (odd ? 1 : 4);  // vectors start on 16 bytes
}

// Memory of a device is aligned as its types are.
Operand Problem::make(Format format, int32_t rows, int32_t columns, bool odd) {
  const bool device = testing::under_test().device != nullptr;
  Operand o;
  o.format = format;
  const int bits = bits_of(format.storage);
  int32_t stride = columns;
  if (bits == 4)
    stride = (columns + 7) / 8 * 8;
  else if (bits != 6)
    stride = columns + static_cast<int32_t>(random_.below(3));
  const int64_t row_bytes = bits == 6 ? packed_row_bytes(columns, 6) : static_cast<int64_t>(stride) * bits / 8;
  o.values = {allocate(static_cast<size_t>(rows * row_bytes), odd && !(device && bits > 8)),
              {rows, columns},
              {stride, 1},
              format.storage,
              2};
  if (bits < 8) std::memset(o.values.data, 0, static_cast<size_t>(rows * row_bytes));
  for (int i = 0; i < format.levels; ++i) {
    const ScaleLevel& level = format.level[i];
    TensorView& s = o.scales[i];
    s = {nullptr, {1}, {1}, level.dtype, 1};
    if (level.grain == Grain::kRow) s.dim[0] = rows;
    if (level.grain == Grain::kColumn) s.dim[0] = columns;
    if (level.grain == Grain::kGroup) {
      const int32_t groups = (columns + level.group - 1) / level.group;
      s = {nullptr, {rows, groups}, {groups, 1}, level.dtype, 2};
    }
    s.data = allocate(static_cast<size_t>(row_count(s) * row_length(s)) * 4, odd && !device);
  }
  return o;
}

float Problem::draw(Values values) {
  const float v = static_cast<float>(random_.normal());
  switch (values) {
    case Values::kTiny: return v * 1e-39f;
    case Values::kHuge: return random_.below(8) == 0 ? v * 1e15f : v;
    case Values::kExtremes:
      return random_.below(3) == 0 ? 0.0f : v * std::exp2(static_cast<float>(random_.below(20) - 10));
    default: return v;
  }
}

void Problem::fill(Operand& o, Values values) {
  const DType type = o.values.dtype;
  for (int64_t r = 0; r < row_count(o.values); ++r) {
    for (int64_t c = 0; c < row_length(o.values); ++c) {
      double v = draw(values);
      if (!is_float(type)) {
        const int low = min_code(type), high = max_code(type);
        const bool extreme = values == Values::kExtremes && random_.below(4) != 0;
        v = extreme ? (random_.below(2) == 0 ? low : high) : static_cast<double>(low + random_.below(high - low + 1));
        if (o.format.levels == 2 && v < -8) v = -8;
      }
      store_element(row_address(o.values, r), type, c, v);
    }
  }
  for (int level = o.format.levels - 1; level >= 0; --level) {
    const TensorView& s = o.scales[level];
    for (int64_t r = 0; r < row_count(s); ++r) {
      for (int64_t c = 0; c < row_length(s); ++c) {
        double v = 0.001 + 0.05 * random_.uniform();
        if (values == Values::kTiny) v *= 1e-4;
        if (values == Values::kZeroScales && random_.below(3) == 0) v = 0;
        if (o.format.levels == 2 && level == 1) v = 8 * 0.051 / 127;  // above every group's scale: |w8| <= 127
        store_element(row_address(s, r), s.dtype, c, v);
        largest_scale = std::max(largest_scale, static_cast<float>(v));
      }
    }
  }
}

Problem::Problem(Shape shape, Format x, Format weight, Values values, uint64_t seed) : shape_(shape), random_(seed) {
  args.x = make(x, shape.tokens, shape.inner, x.storage == DType::kI8);
  fill(args.x, values);
  args.weight = make(weight, shape.outputs, shape.inner, true);
  fill(args.weight, values);
  if (random_.below(2) == 0) {
    args.bias = {allocate(static_cast<size_t>(shape.outputs) * 4, false), {shape.outputs}, {1}, DType::kF32, 1};
    for (int32_t n = 0; n < shape.outputs; ++n) store_element(args.bias.data, DType::kF32, n, draw(values));
  }
  const std::vector<double> a = decode(args.x), w = decode(args.weight);
  for (int64_t t = 0; t < shape.tokens; ++t) {
    for (int64_t n = 0; n < shape.outputs; ++n) {
      double sum = args.bias.data ? load_element(args.bias.data, DType::kF32, n) : 0, size = std::abs(sum);
      double largest = 0, weights = 0;
      for (int64_t k = 0; k < shape.inner; ++k) {
        const double product =
            a[static_cast<size_t>(t * shape.inner + k)] * w[static_cast<size_t>(n * shape.inner + k)];
        sum += product;
        size += std::abs(product);
        largest = std::max(largest, std::abs(a[static_cast<size_t>(t * shape.inner + k)]));
        weights += std::abs(w[static_cast<size_t>(n * shape.inner + k)]);
      }
      by_largest.push_back(largest * weights);
      exact.push_back(sum);
      magnitude.push_back(size);
    }
  }
}

void Problem::make_outputs(bool floats_only) {
  const int32_t outputs = shape_.outputs;
  args.out = OutputParts{};
  part_memory_.clear();
  const int32_t parts = std::min<int32_t>(outputs, 1 + static_cast<int32_t>(random_.below(kMaxParts)));
  args.out.count = parts;
  for (int32_t i = 0; i < parts; ++i) {
    const int32_t begin = args.out.begin[i], rest = outputs - begin - (parts - 1 - i);
    const int32_t columns = i + 1 == parts ? outputs - begin : 1 + static_cast<int32_t>(random_.below(rest));
    args.out.begin[i + 1] = begin + columns;
    Format f = float_format(DType::kF32);
    const int64_t kind = floats_only ? 0 : random_.below(6);
    if (kind == 1) f = integer_format(DType::kI8, Grain::kTensor, 0, DType::kF32);
    if (kind == 2) f = integer_format(DType::kI8, Grain::kColumn, 0, random_.below(2) ? DType::kF32 : DType::kF16);
    if (kind == 3) f = float_format(DType::kBF16);
    Operand& part = args.out.part[i];
    part_memory_.push_back(memory_.size());
    part = make(f, shape_.tokens, columns, f.storage == DType::kI8);
    if (f.levels == 0) continue;
    for (int64_t c = 0; c < row_length(part.scales[0]); ++c) {  // clips some values
      double largest = 0;
      for (int64_t t = 0; t < shape_.tokens; ++t) {
        for (int32_t n = 0; n < columns; ++n) {
          largest = std::max(largest, std::abs(exact[static_cast<size_t>(t * outputs + begin + n)]));
        }
      }
      const double scale = random_.below(20) == 0 ? 0 : largest / 127 * (0.3 + random_.uniform());
      store_element(part.scales[0].data, part.scales[0].dtype, c, std::min(scale, 60000.0));
    }
  }
}

void Problem::poison() {
  for (size_t i : part_memory_) std::fill(memory_[i].begin(), memory_[i].end(), static_cast<uint8_t>(0xff));
}

std::vector<uint8_t> Problem::output_bytes() const {
  std::vector<uint8_t> bytes;
  for (int32_t t = 0; t < args.x.values.dim[0]; ++t) {
    for (int i = 0; i < args.out.count; ++i) {
      const TensorView& v = args.out.part[i].values;
      const uint8_t* row = static_cast<const uint8_t*>(row_address(v, t));
      bytes.insert(bytes.end(), row, row + v.dim[1] * bits_of(v.dtype) / 8);
    }
  }
  return bytes;
}

std::vector<testing::Block> Problem::blocks() {
  std::vector<testing::Block> out;
  for (std::vector<uint8_t>& m : memory_) out.push_back({m.data(), m.size()});
  return out;
}

bool Problem::canaries_intact() const {
  for (int i = 0; i < args.out.count; ++i) {
    const TensorView& v = args.out.part[i].values;
    std::vector<uint8_t> copy = memory_[part_memory_[static_cast<size_t>(i)]];
    const uint8_t* base = memory_[part_memory_[static_cast<size_t>(i)]].data();
    for (int32_t t = 0; t < args.x.values.dim[0]; ++t) {
      const auto offset = static_cast<const uint8_t*>(row_address(v, t)) - base;
      std::fill_n(copy.begin() + offset, v.dim[1] * bits_of(v.dtype) / 8, static_cast<uint8_t>(0xff));
    }
    if (std::any_of(copy.begin(), copy.end(), [](uint8_t b) { return b != 0xff; })) return false;
  }
  return true;
}

}  // namespace quamba2::linear_test
