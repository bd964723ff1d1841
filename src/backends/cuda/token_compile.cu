// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/token_compile.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "backends/cuda/linear_parts.cuh"
#include "backends/cuda/linear_prepare.h"
#include "backends/cuda/scan_state.cuh"
#include "backends/cuda/token_program.cuh"
#include "backends/cuda/token_tables.h"
#include "tensor/hadamard.h"

namespace quamba2 {
namespace cuda {
namespace {

bool is_f32(const Operand& o) { return o.format.storage == DType::kF32 && o.format.levels == 0; }
// What kernels read without asking: f32, or i8 with f32 scales; of activations, that are known before.
bool is_simple(const Operand& o) {
  return is_f32(o) ||
         (o.format.storage == DType::kI8 && o.format.levels == 1 && o.format.level[0].dtype == DType::kF32);
}
bool is_plain(const Operand& o) { return is_simple(o) && numbers_of(o).by != ScaleBy::kRow; }
bool has_one_row(const Operand& o) { return o.values.rank == 2 && o.values.dim[0] == 1; }
bool in_pieces_of_16(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }
int32_t in_fours(int32_t words) { return (words + 3) / 4 * 4; }

bool equal(const LinearShape& a, const LinearShape& b) {
  return a.bands == b.bands && a.k_tiles == b.k_tiles && a.inner == b.inner && a.outputs == b.outputs &&
         a.group_shift == b.group_shift && a.x_is_dynamic == b.x_is_dynamic;
}
bool equal(const ScanShape& a, const ScanShape& b) {
  return a.heads == b.heads && a.parts == b.parts && a.groups == b.groups && a.states == b.states &&
         a.width == b.width && a.z == b.z && a.x == b.x && a.b == b.b && a.c == b.c && a.dt == b.dt &&
         a.conv_x == b.conv_x && a.conv_b == b.conv_b && a.conv_c == b.conv_c && a.slot_stride == b.slot_stride &&
         a.head_stride == b.head_stride && a.row_stride == b.row_stride && a.history_stride == b.history_stride &&
         a.dt_min == b.dt_min && a.dt_max == b.dt_max && a.history_is_codes == b.history_is_codes &&
         a.silu == b.silu && a.state_is_half == b.state_is_half;
}

// Reads steps in order: the embedding; then, layer after layer, norm (with the residual), in_proj, conv, scan, gate and
// out_proj; and the last sum. Or a selected row, norm, and the head, with a transform before or behind the norm. Any other order
// has no program.
class TokenCompiler {
 public:
  TokenCompiler(const DeviceSpec& spec, Device& device) : tables(device), spec_(spec) {}

  // Whether all steps have a form.
  bool compile(ProgramSteps steps) {
    for (const ProgramStep& step : steps) {
      survives_ = step.survives;
      if (ended_ || !std::visit([&](const auto& args) { return add(args); }, *step.args)) return false;
    }
    return ended_ && fits();
  }

  TokenProgram program = {};
  TokenTables tables;

 private:
  enum class Row : uint8_t { kNone, kNormed, kTurned };  // what row_edge_ is

  bool add(const EmbedArgs& a) {
    if (!begins(a.out) || a.prepared != nullptr) return false;
    program.source = RowSource::kEmbed;
    program.ids = static_cast<const int32_t*>(a.ids.data);
    program.table = table_of(a.table);
    return true;
  }

  bool add(const SelectRowsArgs& a) {
    if (!begins(a.out) || !is_f32(a.x)) return false;
    program.source = RowSource::kSelect;
    program.selected = static_cast<const int32_t*>(a.rows.data);
    program.from = static_cast<const float*>(a.x.values.data);
    program.from_stride = a.x.values.stride[0];
    return true;
  }

  bool begins(const Operand& out) {
    if (survives_ || kept_edge_ != nullptr || !layers_.empty() || !has_one_row(out)) return false;
    program.width = out.values.dim[1];
    kept_edge_ = out.values.data;
    return program.width % 4 == 0 && program.width <= kRowVectors * 4 * kTokenThreads;
  }

  bool add(const RmsNormArgs& a) {
    if (survives_ || !has_one_row(a.out) || !is_f32(a.x) || conv_ != nullptr || row_ != Row::kNone) return false;
    if (a.addend.values.rank > 0) {
      if (!is_sum(a.x, a.addend)) return false;
      wrote(a.sum.values.data);
      kept_edge_ = a.sum.values.data;
    } else if (!layers_.empty() || a.x.values.data != kept_edge_) {
      return false;
    }
    ++norm_count_;
    if (!in_pieces_of_16(a.weight.data) || !agree(static_cast<float>(a.eps), &program.eps)) return false;
    norm_ = tables.unless_ones(a.weight);
    return set_row(a.out, Row::kNormed);
  }

  // The row that was begun turns, or what the head is given.
  bool add(const HadamardArgs& a) {
    const bool begins = row_ == Row::kNone && a.x.values.data == kept_edge_ && norm_count_ == 0;
    const bool follows = row_ == Row::kNormed && a.x.values.data == row_edge_ && layers_.empty();
    HadamardShape& shape = begins ? program.begin_turn : program.head_turn;
    if (survives_ || (!begins && !follows) || shape.width != 0 || !is_f32(a.x)) return false;
    shape = hadamard_shape(program.width, a.transposed);
    if (follows) return set_row(a.out, Row::kNormed);
    wrote(a.out.values.data);
    kept_edge_ = a.out.values.data;
    return true;
  }

  // Whether what is added up is the residual and out_proj's results.
  bool is_sum(const Operand& a, const Operand& b) {
    const void *x = a.values.data, *y = b.values.data;
    return out_edge_ != nullptr && ((x == kept_edge_ && y == out_edge_) || (x == out_edge_ && y == kept_edge_));
  }
  bool agree(float value, float* all) {
    if (*all != 0.0f && *all != value) return false;
    *all = value;
    return true;
  }
  bool set_row(const Operand& out, Row row) {
    wrote(out.values.data);
    row_edge_ = out.values.data, row_ = row;
    return true;
  }

  bool add(const LinearArgs& a) {
    if (!has_one_row(a.x) || a.x.values.data != row_edge_ || a.prepared == nullptr) return false;
    const Row row = std::exchange(row_, Row::kNone);
    row_edge_ = nullptr;
    if (row == Row::kTurned) return add_out_proj(a);
    if (row != Row::kNormed) return false;
    return survives_ ? add_head(a) : program.head_turn.width == 0 && add_in_proj(a);
  }

  bool add_in_proj(const LinearArgs& a) {
    LayerTables layer = {};
    layer.norm = norm_;
    if (!set_linear(a, 0, layers_.empty(), &layer.in, &layer.x_in)) return false;
    handed_.clear();
    for (int i = 0; i < a.out.count; ++i) {
      const Operand& part = a.out.part[i];
      if (!is_plain(part)) return false;
      wrote(part.values.data);
      handed_[part.values.data] = {numbers_of(part), a.out.begin[i]};
    }
    layers_.push_back(layer);
    return true;
  }

  bool add_head(const LinearArgs& a) {
    LayerTables layer = {};
    layer.norm = norm_;
    if (!layers_.empty() || a.out.count != 1 || !is_f32(a.out.part[0])) return false;
    if (!set_linear(a, 0, true, &layer.in, &layer.x_in)) return false;
    program.data = static_cast<float*>(a.out.part[0].values.data);
    layers_.push_back(layer);
    return ended_ = true;
  }

  bool add_out_proj(const LinearArgs& a) {
    LayerTables& layer = layers_.back();
    if (survives_ || a.out.count != 1 || !is_f32(a.out.part[0])) return false;
    if (!set_linear(a, 1, program.layer_count == 0, &layer.out, &layer.x_out)) return false;
    ++program.layer_count;
    wrote(a.out.part[0].values.data);
    out_edge_ = a.out.part[0].values.data;
    return a.out.part[0].values.dim[1] == program.width;
  }

  bool add(const CausalConv1dArgs& a) {
    if (survives_ || conv_ != nullptr || !has_one_row(a.x) || a.segment_count != 1) return false;
    const TensorView& w = a.weight.values;
    if (find(a.x) == nullptr || w.dim[1] != kTaps || w.stride[0] != kTaps || !is_simple(a.weight)) return false;
    if (!(a.state.format == a.x.format) || a.state.values.stride[0] != a.state.values.stride[1] * (kTaps - 1))
      return false;
    conv_ = &a;
    conv_input_ = *find(a.x);
    for (int i = 0; i < a.out.count; ++i) wrote(a.out.part[i].values.data);
    return a.out.count == 3;
  }

  bool add(const SsdScanArgs& a) {
    if (survives_ || conv_ == nullptr || scan_ != nullptr || !has_one_row(a.x) || !is_f32(a.out)) return false;
    const Operand* const parts[] = {&a.x, &a.b, &a.c};
    for (int i = 0; i < 3; ++i) {
      if (parts[i]->values.data != conv_->out.part[i].values.data || !is_plain(*parts[i])) return false;
    }
    const TensorView& v = a.state.values;
    const bool is_float = a.state.format.levels == 0 && (v.dtype == DType::kF16 || v.dtype == DType::kF32);
    if (!is_float || (v.stride[0] | v.stride[1] | v.stride[2]) % 2 != 0 || !in_pieces_of_16(v.data)) return false;
    if (a.segments != conv_->segments || find(a.dt) == nullptr) return false;
    scan_ = &a;
    dt_ = *find(a.dt);
    wrote(a.out.values.data);
    return true;
  }

  bool add(const GateArgs& a) {
    return !survives_ && push_scan(a.y, a.z, {}, 1, 0.0f, false, a.rotation) && set_row(a.out, Row::kTurned);
  }
  bool add(const GatedRmsNormArgs& a) {
    return !survives_ && !a.norm_before_gate &&
           push_scan(a.y, a.z, a.weight, a.groups, static_cast<float>(a.eps), true, a.rotation) &&
           set_row(a.out, Row::kTurned);
  }

  bool add(const AddArgs& a) {
    if (!survives_ || !has_one_row(a.out) || !is_f32(a.out) || row_ != Row::kNone || conv_ != nullptr) return false;
    if (!is_sum(a.a, a.b)) return false;
    program.data = static_cast<float*>(a.out.values.data);
    return ended_ = true;
  }

  template <class Args>
  bool add(const Args&) {
    return false;
  }

  // An edge is written: what was known of its memory is over.
  void wrote(const void* data) {
    handed_.erase(data);
    if (row_edge_ == data) row_edge_ = nullptr;
    if (kept_edge_ == data) kept_edge_ = nullptr;
    if (out_edge_ == data) out_edge_ = nullptr;
  }
  const HandedPart* find(const Operand& o) const {
    const auto at = handed_.find(o.values.data);
    return at == handed_.end() ? nullptr : &at->second;
  }

  bool set_linear(const LinearArgs& a, int at, bool is_first, const ResultColumn** results, StaticScale* x_scale) {
    using enum WeightKind;
    for (WeightKind kind : {kI8, kI4Ratio, kI4, kI6, kI4Float, kI6Float, kI8Float, kBF16, kF16}) {
      if (refuse_kind(a, kind) != nullptr) continue;
      if (!streams_.empty() && program.kind != kind) return false;  // a kernel has one
      program.kind = kind;
      const LinearLayout layout = layout_of(a, kind);
      const PreparedWeight weight = prepared_weight(a.prepared, layout);
      LinearShape shape = {layout.bands, layout.k_tiles, layout.inner, layout.outputs, 0, false};
      if (multiplies_codes(kind)) {
        const Numbers x = numbers_of(a.x);
        if (x.by != ScaleBy::kRow && x.by != ScaleBy::kTensor) return false;
        shape.x_is_dynamic = x.by == ScaleBy::kRow;
        if (!shape.x_is_dynamic) *x_scale = tables.static_scale(x);
      } else if (!is_f32(a.x)) {
        return false;
      }
      if (has_groups(kind)) {
        while (layout.groups << shape.group_shift < layout.k_tiles) ++shape.group_shift;
        if (layout.groups << shape.group_shift != layout.k_tiles) return false;
      }
      if (!is_first && !equal(shape, program.shape[at])) return false;
      program.shape[at] = shape;
      *results = tables.results(a, layout.bands, has_row_scales(kind) ? weight.rows : nullptr);
      streams_.push_back({weight.codes, weight.groups});
      return true;
    }
    return false;
  }

  // Conv, scan, gate, norm and rotation, whose output becomes the row.
  bool push_scan(const Operand& y, const Operand& z, const TensorView& norm, int32_t groups, float eps, bool has_norm,
                 Rotation rotation) {
    const HandedPart* gate = find(z);
    if (scan_ == nullptr || y.values.data != scan_->out.values.data || gate == nullptr) return false;
    const bool is_first = program.layer_count == 0;
    ScanShape scan = {};
    if (!set_scan(*gate, &scan) || (!is_first && !equal(scan, program.scan))) return false;
    program.scan = scan;
    const TurnShape before = program.turn;
    if (is_first && !set_turn(groups, has_norm, rotation)) return false;
    TurnShape& turn = program.turn;
    if (!agree(eps, &turn.eps)) return false;
    if (!is_first && (rotation != rotation_ || before.groups != groups || before.has_norm != has_norm)) return false;
    LayerTables& layer = layers_.back();
    layer.conv = tables.conv_columns(*conv_, *scan_, conv_input_.numbers);
    layer.heads = tables.heads(*scan_, dt_.numbers);
    layer.channels = tables.channels(*scan_, gate->numbers, norm);
    layer.history = static_cast<char*>(conv_->state.values.data);
    layer.state = static_cast<char*>(scan_->state.values.data);
    conv_ = nullptr, scan_ = nullptr;
    return true;
  }

  bool set_scan(const HandedPart& z, ScanShape* s) {
    const CausalConv1dArgs& conv = *conv_;
    const SsdScanArgs& a = *scan_;
    const TensorView& v = a.state.values;
    program.segments = a.segments;
    s->heads = v.dim[1], s->groups = a.groups, s->states = v.dim[2], s->width = v.dim[3];
    s->z = z.begin, s->dt = dt_.begin;
    s->conv_x = conv.out.begin[0], s->conv_b = conv.out.begin[1], s->conv_c = conv.out.begin[2];
    s->x = conv_input_.begin + s->conv_x, s->b = conv_input_.begin + s->conv_b, s->c = conv_input_.begin + s->conv_c;
    const ScanState state = scan_state(a.state);
    s->slot_stride = state.slot_stride, s->head_stride = state.head_stride, s->row_stride = state.row_stride;
    s->state_is_half = state.dtype == DType::kF16;
    s->history_stride = conv.state.values.stride[1];
    s->history_is_codes = conv_input_.numbers.dtype == DType::kI8;
    s->silu = conv.activation == Activation::kSilu;
    s->dt_min = static_cast<float>(a.dt_min), s->dt_max = static_cast<float>(std::min(a.dt_max, 3e38));
    return choose_parts(s);
  }

  // As many parts a head as there are blocks for, of a power of two times 8 channels.
  bool choose_parts(ScanShape* s) const {
    const int32_t eights = s->width / 8;
    if (s->width % 8 != 0 || s->width > 64 || (eights & (eights - 1)) != 0) return false;
    s->parts = 1;
    while (s->parts * 2 <= eights && s->heads * s->parts * 2 <= spec_.multiprocessors) s->parts *= 2;
    const int32_t channels = s->width / s->parts, parts = s->heads * s->parts, tiles = (parts + 15) / 16;
    return parts <= std::min(spec_.multiprocessors, kMostParts) && 2 * (channels + s->states) <= kTokenThreads - 32 &&
           s->states * channels <= kMostPasses * 2 * kTokenThreads &&
           tiles * channels <= kMostTurnTiles * 8 * kTokenWarps && parts * channels <= kInnerVectors * 4 * kTokenThreads;
  }

  bool set_turn(int32_t groups, bool has_norm, Rotation rotation) {
    const ScanShape& s = program.scan;
    const int32_t parts = s.heads * s.parts, channels = s.width / s.parts, width = parts * channels;
    TurnShape& turn = program.turn;
    turn = {has_norm, rotation != Rotation::kNone, groups, 0.0f, 1.0f, (parts + 15) / 16, 0, nullptr};
    while (1 << turn.channel_shift < channels) ++turn.channel_shift;
    rotation_ = rotation;
    if (groups > kMostNormGroups || parts % groups != 0) return false;
    if (turn.rotates) {
      const int32_t core = hadamard_core_order(width);
      if (core == 0 || width / core % channels != 0) return false;
      turn.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(width)));
    }
    turn.mix = tables.mix(rotation, parts, channels);
    return true;
  }

  bool fits() {
    TokenProgram& p = program;
    p.stream_count = static_cast<int32_t>(streams_.size());
    p.streams = tables.store(streams_);
    p.layers = tables.store(layers_);
    p.before = 2;
    for (const LinearShape& s : p.shape) {
      if (s.bands == 0) continue;
      const int32_t tiles = (s.bands + spec_.multiprocessors - 1) / spec_.multiprocessors * s.k_tiles;
      const int32_t most = (tiles + kTokenWarps - 1) / kTokenWarps;  // a warp
      p.partial_bands = std::max(p.partial_bands, (most + s.k_tiles - 1) / s.k_tiles + 1);
    }
    if (p.layer_count > 0) {
      p.in_words = in_fours(p.shape[0].outputs), p.out_words = in_fours(p.shape[1].outputs);
      p.scan_words = in_fours(p.scan.heads * (p.scan.width + p.scan.parts));
      p.in_results = tables.words(static_cast<size_t>(2 * p.in_words));
      p.scan_results = tables.words(static_cast<size_t>(2 * p.scan_words));
      p.out_results = tables.words(static_cast<size_t>(2 * p.out_words));
    }
    p.stages = kMostStages;
    const auto is_too_large = [&] { return token_shared(p).total + kStaticSharedBytes > spec_.shared_bytes; };
    while (p.stages > 1 && is_too_large()) --p.stages;
    return !is_too_large();
  }

  const DeviceSpec& spec_;
  bool survives_ = false, ended_ = false;
  std::vector<LayerTables> layers_;
  std::vector<WeightStream> streams_;
  const void *row_edge_ = nullptr, *kept_edge_ = nullptr, *out_edge_ = nullptr;  // where the plan has them
  Row row_ = Row::kNone;
  int32_t norm_count_ = 0;
  const float* norm_ = nullptr;
  std::map<const void*, HandedPart> handed_;  // in_proj's results, by where the plan has them
  const CausalConv1dArgs* conv_ = nullptr;
  const SsdScanArgs* scan_ = nullptr;
  HandedPart conv_input_ = {}, dt_ = {};
  Rotation rotation_ = Rotation::kNone;
};

class CompiledToken : public Program {
 public:
  CompiledToken(TokenCompiler& compiler, int32_t blocks, void* stream)
      : tables_(compiler.tables.take()), program_(compiler.program), blocks_(blocks), stream_(stream) {}

  void run() override {
    launch_token_program(program_, blocks_, stream_);
    program_.before += static_cast<uint32_t>(program_.layer_count);
  }

 private:
  std::vector<Storage> tables_;
  TokenProgram program_;
  int32_t blocks_;
  void* stream_;
};

}  // namespace
}  // namespace cuda

std::unique_ptr<Program> compile_token_program(ProgramSteps steps, Device& device, const DeviceSpec& spec,
                                               void* stream) {
  if (spec.architecture < 90 || spec.multiprocessors > cuda::kTokenThreads) return nullptr;
  cuda::TokenCompiler compiler(spec, device);
  if (!compiler.compile(steps) || !cuda::has_token_kernel(compiler.program.kind)) return nullptr;
  return std::make_unique<cuda::CompiledToken>(compiler, spec.multiprocessors, stream);
}

}  // namespace quamba2
