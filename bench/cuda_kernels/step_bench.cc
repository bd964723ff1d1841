// SPDX-License-Identifier: Apache-2.0
// A step of 64 sequences, kernel by kernel: what a layer of Mamba2 launches in w4a8, then its kernels in turn as a step runs
// them, and the head. Weights and states rotate through more memory than the cache holds.
#include "backends/cuda/causal_conv1d_rows.h"
#include "backends/cuda/linear_rows.h"
#include "backends/cuda/norm_rows.h"
#include "backends/cuda/scan_rows.h"
#include "cuda_kernels/operands.h"

namespace quamba2::cuda_bench {
namespace {

constexpr int32_t kSequences = 64, kStates = 128, kHeadWidth = 64, kVocabulary = 50288;
constexpr KindOfLinear kLinear = {"w4a8", cuda::WeightKind::kI4Ratio, DType::kI4, DType::kI8, 64, 2};
constexpr KindOfLinear kHead = {"w6a8", cuda::WeightKind::kI6, DType::kI6, DType::kI8, 64, 1};

struct Model {
  const char* name;
  int32_t width, layers;
};
struct Piece {
  const char* name;
  double bytes;
  std::function<void(const Stream&, int)> launch;
};

Operand row_codes(int32_t rows, int32_t columns) {
  Operand o = activation(rows, columns, true);
  o.format.dynamic = true, o.format.level[0] = {Grain::kRow, 0, DType::kF32};
  o.scales[0] = {random_scales(rows), {rows}, {1}, DType::kF32, 1};
  return o;
}

Operand columns_of(const Operand& from, int32_t begin, int32_t count) {
  Operand o = from;
  o.values.data = static_cast<char*>(from.values.data) + begin;
  o.scales[0].data = static_cast<float*>(from.scales[0].data) + begin;
  o.values.dim[1] = count, o.scales[0].dim[0] = count;
  return o;
}

template <class Args>
std::function<void(const Stream&, int)> caller(const KernelRows<Args>& rows, const std::vector<Args>& calls) {
  const Kernel<Args>* row = nullptr;
  for (int32_t i = 0; i < rows.count && row == nullptr; ++i) {
    if (rows.rows[i].supports(calls[0]).refusal == nullptr) row = rows.rows + i;
  }
  char* scratch = static_cast<char*>(zeros(row->scratch_bytes ? row->scratch_bytes(calls[0], 1) : 1));
  return [=](const Stream& stream, int i) {
    Stream s = stream;
    s.scratch = scratch;
    row->run(calls[static_cast<size_t>(i) % calls.size()], s);
  };
}

Piece linear_piece(const char* name, const KindOfLinear& kind, const Operand& x, const OutputParts& out) {
  const int32_t outputs = out.begin[out.count], inner = x.values.dim[1];
  LinearArgs a = linear_problem(kind, outputs, inner, kSequences);
  a.x = x, a.out = out;
  std::vector<LinearArgs> calls;
  const cuda::LinearLayout layout = linear_layout_of(kind, outputs, inner);
  for (const void* weight : prepared_weights(layout)) calls.push_back(a), calls.back().prepared = weight;
  const double result = bits_of(out.part[0].values.dtype) / 8.0;
  return {name, static_cast<double>(layout.bytes) + kSequences * (inner + outputs * result),
          caller(cuda_linear_rows(90), calls)};
}

OutputParts whole(const Operand& o) {
  OutputParts p;
  p.count = 1, p.begin[1] = o.values.dim[1], p.part[0] = o;
  return p;
}

Piece conv_piece(const Operand& xbc, const OutputParts& out, const Segment* segments) {
  const int32_t channels = xbc.values.dim[1], taps = 4;
  CausalConv1dArgs a;
  a.x = xbc, a.out = out, a.segments = segments, a.segment_count = kSequences;
  a.weight = activation(channels, taps, true);
  a.weight.format.level[0] = {Grain::kRow, 0, DType::kF32};
  a.weight.scales[0] = {random_scales(channels), {channels}, {1}, DType::kF32, 1};
  a.bias = parameters(channels, 0.1f);
  a.state = xbc;
  a.state.values = {random_bytes(static_cast<size_t>(kSequences * channels) * (taps - 1)),
                    {kSequences, taps - 1, channels},
                    {channels * (taps - 1), channels, 1},
                    DType::kI8,
                    3};
  return {"conv", 1.0 * kSequences * channels * (2 + 2 * (taps - 1)),
          caller(cuda_causal_conv1d_rows(), std::vector<CausalConv1dArgs>{a})};
}

Piece scan_piece(const char* name, DType state, SsdScanArgs a, int32_t heads) {
  const Operand one = state_of(1, 1, kStates, kHeadWidth, state);
  const double bytes = state_bytes(one) * heads * kSequences;
  std::vector<SsdScanArgs> calls;
  for (int i = 0; i < rotations(static_cast<size_t>(bytes)); ++i) {
    a.state = state_of(kSequences, heads, kStates, kHeadWidth, state);
    calls.push_back(a);
  }
  return {name, 2 * bytes + kSequences * heads * kHeadWidth * 5.0, caller(cuda_ssd_scan_rows(90), calls)};
}

std::vector<Piece> layer_of(const Model& m) {
  const int32_t inner = 2 * m.width, heads = inner / kHeadWidth, mixed = inner + 2 * kStates;
  const Segment* segments = segments_of(kSequences, 1);
  RmsNormArgs norm;
  norm.x = activation(kSequences, m.width, false), norm.addend = activation(kSequences, m.width, false);
  norm.sum = activation(kSequences, m.width, false), norm.out = row_codes(kSequences, m.width);
  norm.weight = parameters(m.width, 1.0f);
  const Operand z = activation(kSequences, inner, true), xbc = activation(kSequences, mixed, true);
  const Operand dt = activation(kSequences, heads, true), convolved = activation(kSequences, mixed, true);
  OutputParts projected, parts;
  projected.count = 3, projected.begin[1] = inner, projected.begin[2] = inner + mixed;
  projected.begin[3] = inner + mixed + heads;
  projected.part[0] = z, projected.part[1] = xbc, projected.part[2] = dt;
  parts.count = 3, parts.begin[1] = inner, parts.begin[2] = inner + kStates, parts.begin[3] = mixed;
  parts.part[0] = columns_of(convolved, 0, inner), parts.part[1] = columns_of(convolved, inner, kStates);
  parts.part[2] = columns_of(convolved, inner + kStates, kStates);
  SsdScanArgs scan;
  scan.x = parts.part[0], scan.b = parts.part[1], scan.c = parts.part[2], scan.dt = dt;
  scan.a_log = parameters(heads, 1.0f), scan.d = parameters(heads, 1.0f), scan.dt_bias = parameters(heads, 1.0f);
  scan.groups = 1, scan.segments = segments, scan.segment_count = kSequences;
  scan.out = activation(kSequences, inner, false);
  GatedRmsNormArgs gate;
  gate.y = scan.out, gate.z = z, gate.weight = parameters(inner, 1.0f), gate.out = row_codes(kSequences, inner);
  gate.rotation = Rotation::kHadamard;
  return {{"norm", kSequences * m.width * 13.0, caller(cuda_rms_norm_rows(), std::vector<RmsNormArgs>{norm})},
          linear_piece("in_proj", kLinear, norm.out, projected),
          conv_piece(xbc, parts, segments),
          scan_piece("scan, F16", DType::kF16, scan, heads),
          scan_piece("scan, INT8", DType::kI8, scan, heads),
          {"gate", kSequences * inner * 6.0, caller(cuda_gated_rms_norm_rows(), std::vector<GatedRmsNormArgs>{gate})},
          linear_piece("out_proj", kLinear, gate.out, whole(activation(kSequences, m.width, false)))};
}

void bench_model(const Ceilings& c, const Model& m) {
  const std::vector<Piece> layer = layer_of(m);
  for (const Piece& piece : layer) {
    const double us = microseconds(piece.launch, 40, 9);
    print_line({piece.name, m.name, kSequences, us, piece.bytes, 0}, c);
  }
  const char* states[] = {"scan, INT8", "scan, F16"};
  for (const char* left_out : states) {
    double bytes = 0;
    for (const Piece& piece : layer) bytes += piece.name == std::string(left_out) ? 0 : piece.bytes;
    const double us = microseconds(
        [&](const Stream& stream, int i) {
          for (const Piece& piece : layer) {
            if (piece.name != std::string(left_out)) piece.launch(stream, i);
          }
        },
        m.layers, 9);
    const bool half = left_out == std::string("scan, INT8");
    print_line({half ? "layer, F16" : "layer, INT8", m.name, kSequences, us, bytes, 0}, c);
  }
  release_all();
  const Piece head = linear_piece("head, w6a8", kHead, row_codes(kSequences, m.width),
                                  whole(activation(kSequences, kVocabulary, false)));
  print_line({head.name, m.name, kSequences, microseconds(head.launch, 10, 5), head.bytes, 0}, c);
  release_all();
}

}  // namespace

void bench_step(const Ceilings& c, const std::string& filter) {
  if (filter != "step") return;
  for (const Model& m : {Model{"130m", 768, 24}, Model{"780m", 1536, 48}, Model{"2.7b", 2560, 64}}) bench_model(c, m);
}

}  // namespace quamba2::cuda_bench
