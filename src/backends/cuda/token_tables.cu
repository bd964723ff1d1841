// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/token_tables.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tensor/hadamard.h"

namespace quamba2::cuda {
namespace {

float inverse_of(float scale) { return scale > 0.0f ? 1.0f / scale : 0.0f; }

// Row a, column b of what is left of the transform behind each part's own.
class PartMatrix {
 public:
  PartMatrix(Rotation rotation, int32_t parts, int32_t channels) : rotation_(rotation), parts_(parts) {
    if (rotation == Rotation::kNone) return;
    order_ = hadamard_core_order(static_cast<int64_t>(parts) * channels);
    core_ = hadamard_core(order_);
    each_ = parts / order_;
  }
  float at(int32_t a, int32_t b) const {
    if (a >= parts_ || b >= parts_) return 0.0f;
    if (rotation_ == Rotation::kNone) return a == b ? 1.0f : 0.0f;
    int32_t row = a / each_, column = b / each_;
    if (rotation_ == Rotation::kTransposedHadamard) std::swap(row, column);
    const bool odd = std::popcount(static_cast<uint32_t>(a % each_) & static_cast<uint32_t>(b % each_)) % 2 != 0;
    const float core = core_[row * order_ + column];
    return odd ? -core : core;
  }

 private:
  Rotation rotation_;
  int32_t parts_, order_ = 1, each_ = 1;
  const int8_t* core_ = nullptr;
};

// Of numbers that bf16 holds.
uint32_t brain_pair(float low, float high) {
  return std::bit_cast<uint32_t>(low) >> 16 | (std::bit_cast<uint32_t>(high) & 0xffff0000u);
}

}  // namespace

const void* TokenTables::store(const void* data, size_t bytes) {
  storages_.emplace_back(&device_, std::max<size_t>(bytes, 1));
  device_.upload(storages_.back().data(), data, bytes);
  return storages_.back().data();
}

std::vector<float> TokenTables::floats(const void* from, size_t count) const {
  std::vector<float> out(from == nullptr ? 0 : count);
  if (!out.empty()) device_.download(out.data(), from, count * sizeof(float));
  return out;
}

std::vector<float> TokenTables::scales_of(const Numbers& x, size_t columns) const {
  if (x.by == ScaleBy::kNothing) return {};
  if (x.by == ScaleBy::kTensor) return std::vector<float>(columns, floats(x.scales, 1)[0]);
  return floats(x.scales, columns);
}

std::vector<float> TokenTables::taps(const Numbers& weight, size_t channels) const {
  if (weight.dtype != DType::kI8) return floats(weight.data, channels * kTaps);
  std::vector<int8_t> codes(channels * kTaps);
  device_.download(codes.data(), weight.data, codes.size());
  const std::vector<float> scales = scales_of(weight, channels);
  std::vector<float> out(codes.size());
  for (size_t i = 0; i < codes.size(); ++i) out[i] = static_cast<float>(codes[i]) * scales[i / kTaps];
  return out;
}

StaticScale TokenTables::static_scale(const Numbers& x) const {
  const float scale = floats(x.scales, 1)[0];
  return {scale, inverse_of(scale)};
}

const float* TokenTables::unless_ones(const TensorView& weight) const {
  if (weight.data == nullptr) return nullptr;
  const std::vector<float> values = floats(weight.data, static_cast<size_t>(weight.dim[0]));
  const bool ones = std::all_of(values.begin(), values.end(), [](float w) { return w == 1.0f; });
  return ones ? nullptr : static_cast<const float*>(weight.data);
}

const ResultColumn* TokenTables::results(const LinearArgs& args, int32_t bands, const float* row_scales) {
  std::vector<ResultColumn> columns(static_cast<size_t>(bands) * kBandRows, {1.0f, 0.0f, -1.0f, 0.0f});
  const auto outputs = static_cast<size_t>(args.out.begin[args.out.count]);
  const std::vector<float> scales = floats(row_scales, outputs), bias = floats(args.bias.data, outputs);
  for (size_t n = 0; n < outputs; ++n) {
    if (!scales.empty()) columns[n].scale = scales[n];
    if (!bias.empty()) columns[n].bias = bias[n];
  }
  for (int i = 0; i < args.out.count; ++i) {
    const auto begin = static_cast<size_t>(args.out.begin[i]), end = static_cast<size_t>(args.out.begin[i + 1]);
    const std::vector<float> codes = scales_of(numbers_of(args.out.part[i]), end - begin);
    for (size_t n = begin; n < end && !codes.empty(); ++n) columns[n].inverse = inverse_of(codes[n - begin]);
  }
  return store(columns);
}

const ConvColumn* TokenTables::conv_columns(const CausalConv1dArgs& conv, const SsdScanArgs& scan,
                                            const Numbers& input) {
  const auto count = static_cast<size_t>(conv.x.values.dim[1]);
  std::vector<ConvColumn> columns(count, {{}, 0.0f, 1.0f, 1.0f, -1.0f});
  const std::vector<float> bias = floats(conv.bias.data, count), in = scales_of(input, count),
                           weight = taps(numbers_of(conv.weight), count);
  for (size_t c = 0; c < count; ++c) {
    std::copy_n(&weight[c * kTaps], kTaps, columns[c].weight);
    if (!bias.empty()) columns[c].bias = bias[c];
    if (!in.empty()) columns[c].in_scale = in[c];
  }
  const Operand* const parts[] = {&scan.x, &scan.b, &scan.c};
  for (int i = 0; i < 3; ++i) {
    const auto begin = static_cast<size_t>(conv.out.begin[i]), end = static_cast<size_t>(conv.out.begin[i + 1]);
    const std::vector<float> out = scales_of(numbers_of(*parts[i]), end - begin);
    for (size_t c = begin; c < end && !out.empty(); ++c) {
      columns[c].out_scale = out[c - begin];
      columns[c].out_inverse = inverse_of(out[c - begin]);
    }
  }
  return store(columns);
}

const ScanHead* TokenTables::heads(const SsdScanArgs& scan, const Numbers& dt) {
  const auto count = static_cast<size_t>(scan.state.values.dim[1]);
  std::vector<ScanHead> heads(count, {1.0f, 0.0f, 0.0f, 0.0f});
  const std::vector<float> scales = scales_of(dt, count), bias = floats(scan.dt_bias.data, count),
                           a_log = floats(scan.a_log.data, count);
  for (size_t h = 0; h < count; ++h) {
    if (!scales.empty()) heads[h].dt_scale = scales[h];
    if (!bias.empty()) heads[h].dt_bias = bias[h];
    heads[h].a = -std::exp(a_log[h]);
  }
  return store(heads);
}

const ScanChannel* TokenTables::channels(const SsdScanArgs& scan, const Numbers& z, const TensorView& norm) {
  const auto width = static_cast<size_t>(scan.state.values.dim[3]),
             count = static_cast<size_t>(scan.state.values.dim[1]) * width;
  std::vector<ScanChannel> channels(count, {1.0f, 0.0f, 1.0f, 0.0f});
  const size_t skips = scan.d.data != nullptr ? static_cast<size_t>(scan.d.dim[0]) : 0;
  const std::vector<float> scales = scales_of(z, count), skip = floats(scan.d.data, skips),
                           weight = floats(norm.data, count);
  for (size_t c = 0; c < count; ++c) {
    if (!scales.empty()) channels[c].z_scale = scales[c];
    if (!skip.empty()) channels[c].skip = skip[skips == count ? c : c / width];
    if (!weight.empty()) channels[c].weight = weight[c];
  }
  return store(channels);
}

const uint4* TokenTables::mix(Rotation rotation, int32_t parts, int32_t channels) {
  const PartMatrix matrix(rotation, parts, channels);
  const int32_t tiles = (parts + 15) / 16;
  std::vector<uint4> out;
  for (int32_t i = 0; i < tiles * tiles * 32; ++i) {
    const int32_t lane = i % 32, row = i / 32 / tiles * 16 + lane / 4, column = i / 32 % tiles * 16 + lane % 4 * 2;
    const auto pair = [&](int32_t a, int32_t b) { return brain_pair(matrix.at(a, b), matrix.at(a, b + 1)); };
    out.push_back({pair(row, column), pair(row + 8, column), pair(row, column + 8), pair(row + 8, column + 8)});
  }
  return store(out);
}

}  // namespace quamba2::cuda
