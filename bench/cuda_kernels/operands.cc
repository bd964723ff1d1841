// SPDX-License-Identifier: Apache-2.0
#include "cuda_kernels/operands.h"

namespace quamba2::cuda_bench {

Operand activation(int32_t rows, int32_t columns, bool codes) {
  Operand o;
  o.values = {nullptr, {rows, columns}, {columns, 1}, codes ? DType::kI8 : DType::kF32, 2};
  o.format.storage = o.values.dtype;
  const int64_t count = static_cast<int64_t>(rows) * columns;
  o.values.data = codes ? random_bytes(static_cast<size_t>(count)) : random_floats(count, DType::kF32, 1.0f);
  if (!codes) return o;
  o.format.levels = 1, o.format.level[0] = {Grain::kColumn, 0, DType::kF32};
  o.scales[0] = {random_scales(columns), {columns}, {1}, DType::kF32, 1};
  return o;
}

TensorView parameters(int32_t count, float spread) {
  return {random_floats(count, DType::kF32, spread), {count}, {1}, DType::kF32, 1};
}

const Segment* segments_of(int32_t count, int32_t length) {
  std::vector<Segment> all;
  for (int32_t i = 0; i < count; ++i) all.push_back({i * length, length, i});
  return static_cast<const Segment*>(uploaded(all.data(), all.size() * sizeof(Segment)));
}

Operand state_of(int32_t slots, int32_t heads, int32_t states, int32_t width, DType type) {
  Operand o;
  o.format.storage = type;
  TensorView& v = o.values;
  const int32_t head = states * width, blocks = state_blocks(states);
  v = {nullptr, {slots, heads, states, width}, {heads * head, head, width, 1}, type, 4};
  const int64_t count = static_cast<int64_t>(slots) * heads * head;
  v.data = zeros(static_cast<size_t>(count * bits_of(type) / 8));
  if (type == DType::kI8) {
    o.format.levels = 1, o.format.dynamic = true, o.format.level[0] = {Grain::kColumn, 0, DType::kF32};
    o.scales[0] = {zeros(static_cast<size_t>(slots) * static_cast<size_t>(heads * blocks * width) * 4),
                   {slots, heads, blocks, width},
                   {heads * blocks * width, blocks * width, width, 1},
                   DType::kF32,
                   4};
  }
  if (heads == 0) v.rank = 3;
  return o;
}

double state_bytes(const Operand& o) {
  double count = 1;
  for (int i = 0; i < o.values.rank; ++i) count *= o.values.dim[i];
  return count * (o.values.dtype == DType::kI8 ? 1.125 : bits_of(o.values.dtype) / 8.0);
}

LinearArgs linear_problem(const KindOfLinear& k, int32_t outputs, int32_t inner, int32_t tokens) {
  LinearArgs a;
  a.weight.values = {nullptr, {outputs, inner}, {inner, 1}, k.weight, 2};
  a.weight.format.storage = k.weight;
  a.weight.format.levels = static_cast<uint8_t>(k.levels);
  if (k.group) a.weight.format.level[0] = {Grain::kGroup, static_cast<int16_t>(k.group), DType::kF16};
  if (k.levels) a.weight.format.level[k.group ? 1 : 0] = {Grain::kRow, 0, DType::kF32};
  if (k.group && k.levels == 1) a.weight.format.level[0] = {Grain::kGroup, static_cast<int16_t>(k.group), DType::kF16};
  a.x.values = {nullptr, {tokens, inner}, {inner, 1}, k.x, 2};
  a.x.format.storage = k.x;
  if (k.x == DType::kI8) {
    a.x.format.levels = 1, a.x.format.dynamic = true, a.x.format.level[0] = {Grain::kRow, 0, DType::kF32};
    a.x.scales[0] = {random_scales(tokens), {tokens}, {1}, DType::kF32, 1};
    a.x.values.data = random_bytes(static_cast<size_t>(tokens) * static_cast<size_t>(inner));
  } else {
    a.x.values.data = random_floats(static_cast<int64_t>(tokens) * inner, k.x, 1.0f);
  }
  a.out.count = 1, a.out.begin[1] = outputs;
  a.out.part[0].values = {zeros(static_cast<size_t>(tokens) * static_cast<size_t>(outputs) * 4),
                          {tokens, outputs},
                          {outputs, 1},
                          DType::kF32,
                          2};
  return a;
}

cuda::LinearLayout linear_layout_of(const KindOfLinear& k, int32_t outputs, int32_t inner) {
  return cuda::linear_layout(k.kind, outputs, inner, k.group ? k.group : inner);
}

std::vector<const void*> prepared_weights(const cuda::LinearLayout& l) {
  std::vector<const void*> all;
  for (int i = 0; i < rotations(static_cast<size_t>(l.bytes)); ++i) {
    char* p = static_cast<char*>(random_bytes(static_cast<size_t>(l.bytes)));
    const size_t scales = static_cast<size_t>(l.bytes - l.group_offset);
    const std::vector<uint32_t> halves(scales / 4 + 1, 0x22002200u);
    check(cudaMemcpy(p + l.group_offset, halves.data(), scales, cudaMemcpyHostToDevice), "scales");
    if (l.kind == cuda::WeightKind::kBF16) {
      const std::vector<uint16_t> numbers(static_cast<size_t>(l.group_offset) / 2, 0x3c31);
      check(cudaMemcpy(p, numbers.data(), static_cast<size_t>(l.group_offset), cudaMemcpyHostToDevice), "numbers");
    }
    all.push_back(p);
  }
  return all;
}

}  // namespace quamba2::cuda_bench
