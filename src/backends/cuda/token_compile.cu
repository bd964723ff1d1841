// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/token_compile.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "backends/cuda/linear_prepare.h"
#include "backends/cuda/token_program.cuh"

namespace quamba2 {
namespace cuda {
namespace {

constexpr size_t kAlign = 256;

size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }
bool is_f32(const Operand& o) { return o.format.storage == DType::kF32 && o.format.levels == 0; }
// What kernels read without asking: f32, or i8 with f32 scales.
bool is_plain(const Operand& o) {
  return is_f32(o) ||
         (o.format.storage == DType::kI8 && o.format.levels == 1 && o.format.level[0].dtype == DType::kF32);
}
bool has_one_row(const Operand& o) { return o.values.rank == 2 && o.values.dim[0] == 1; }
bool in_pieces_of_16(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

// Room for what one step hands on.
size_t room_of(const OpArgs& args) {
  size_t bytes = 0;
  const auto add = [&](const Operand& o) { bytes += aligned(static_cast<size_t>(o.values.dim[1]) * sizeof(Tagged)); };
  if (const auto* linear = std::get_if<LinearArgs>(&args)) {
    for (int i = 0; i < linear->out.count; ++i) add(linear->out.part[i]);
  }
  if (const auto* scan = std::get_if<SsdScanArgs>(&args)) add(scan->out);
  return bytes;
}

// Reads steps in order and knows where each edge is: in the row that the next linear multiplies, in the residual that blocks
// keep, or in the memory that phases write.
class TokenCompiler {
 public:
  TokenCompiler(const DeviceSpec& spec, Device& device, char* scratch, size_t region)
      : spec_(spec), device_(device), scratch_(scratch), region_(region) {}

  // Whether all steps have a form.
  bool compile(ProgramSteps steps) {
    for (const ProgramStep& step : steps) {
      survives_ = step.survives;
      if (ended_ || !std::visit([&](const auto& args) { return add(args); }, *step.args)) return false;
    }
    return !phases_.empty() && row_.empty() && conv_ == nullptr && scan_ == nullptr && fits();
  }

  TokenProgram program_ = {};
  std::vector<Phase> phases_;
  std::vector<WeightStream> streams_;

 private:
  struct Handed {
    Numbers numbers;  // their format; no data
    Tagged* tagged;
    size_t phase;
  };

  bool add(const EmbedArgs& a) {
    if (survives_ || !has_one_row(a.out) || a.prepared != nullptr || program_.ids != nullptr) return false;
    program_.ids = static_cast<const int32_t*>(a.ids.data);
    program_.table = table_of(a.table);
    wrote(a.out.values.data);
    row_edge_ = kept_edge_ = a.out.values.data;
    return push({RowOpKind::kEmbed}, a.out);
  }

  bool add(const SelectRowsArgs& a) {
    if (survives_ || !has_one_row(a.out) || !is_f32(a.x) || program_.selected != nullptr) return false;
    if (find(a.x) != nullptr || !in_pieces_of_16(a.x.values.data) || a.x.values.stride[0] % 4 != 0) return false;
    program_.selected = static_cast<const int32_t*>(a.rows.data);
    wrote(a.out.values.data);
    row_edge_ = kept_edge_ = a.out.values.data;
    RowOp op = {RowOpKind::kSelect};
    op.from = static_cast<const float*>(a.x.values.data);
    op.stride = a.x.values.stride[0];
    return push(op, a.out);
  }

  bool add(const RmsNormArgs& a) {
    if (survives_ || !has_one_row(a.out) || !is_f32(a.x)) return false;
    if (a.addend.values.rank > 0) {
      const bool x_is_kept = a.x.values.data == kept_edge_;
      const Handed* from = find_floats(x_is_kept ? a.addend : a.x);
      if (from == nullptr || (!x_is_kept && a.addend.values.data != kept_edge_)) return false;
      RowOp op = {RowOpKind::kAdd};
      op.handed = from->tagged;
      if (!push(op, a.sum)) return false;
      wrote(a.sum.values.data);
      row_edge_ = kept_edge_ = a.sum.values.data;
    } else if (!take_row(a.x)) {
      return false;
    }
    return push_norm(a.out, a.weight, a.eps, 1);
  }

  bool add(const HadamardArgs& a) {
    if (survives_ || !has_one_row(a.out) || !is_f32(a.x) || !take_row(a.x)) return false;
    return push_rotation(a.out, a.transposed ? Rotation::kTransposedHadamard : Rotation::kHadamard);
  }

  bool add(const LinearArgs& a) {
    if (!has_one_row(a.x) || !is_plain(a.x) || !take_row(a.x) || a.prepared == nullptr) return false;
    Phase phase = {};
    phase.kind = PhaseKind::kLinear;
    if (!set_linear(a, &phase.linear)) return false;
    phase.row_ops = static_cast<int32_t>(row_.size());
    if (phase.row_ops > kMostRowOps) return false;
    std::copy(row_.begin(), row_.end(), phase.row);
    row_.clear();
    row_edge_ = nullptr;
    char* to = region();
    for (int i = 0; i < a.out.count; ++i) {
      const Operand& part = a.out.part[i];
      if (!(survives_ ? is_f32(part) : is_plain(part))) return false;
      wrote(part.values.data);
      if (!survives_) {
        phase.linear.handed[i] = reinterpret_cast<Tagged*>(to);
        handed_[part.values.data] = {phase.linear.out.part[i], phase.linear.handed[i], phases_.size()};
      }
      to += aligned(static_cast<size_t>(part.values.dim[1]) * sizeof(Tagged));
    }
    phases_.push_back(phase);
    return true;
  }

  bool add(const CausalConv1dArgs& a) {
    if (survives_ || conv_ != nullptr || !has_one_row(a.x) || a.segment_count != 1) return false;
    const Handed* input = find(a.x);
    const TensorView& w = a.weight.values;
    if (input == nullptr || w.dim[1] != kTaps || w.stride[0] != kTaps || !is_plain(a.weight)) return false;
    if (!in_pieces_of_16(w.data)) return false;
    if (!(a.state.format == a.x.format) || a.state.values.stride[0] != a.state.values.stride[1] * a.state.values.dim[1])
      return false;
    conv_ = &a;
    conv_input_ = *input;
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
    if (!is_float || v.dim[3] % 8 != 0 || (v.stride[0] | v.stride[1] | v.stride[2]) % 8 != 0 ||
        !in_pieces_of_16(v.data) || find(a.dt) == nullptr)
      return false;
    scan_ = &a;
    wrote(a.out.values.data);
    return true;
  }

  bool add(const GateArgs& a) {
    if (survives_ || !push_scan(a.y, a.z)) return false;
    wrote(a.out.values.data);
    row_edge_ = a.out.values.data;
    return a.rotation == Rotation::kNone || push_rotation(a.out, a.rotation);
  }

  bool add(const GatedRmsNormArgs& a) {
    if (survives_ || a.norm_before_gate || !push_scan(a.y, a.z)) return false;
    if (!push_norm(a.out, a.weight, a.eps, a.groups)) return false;
    return a.rotation == Rotation::kNone || push_rotation(a.out, a.rotation);
  }

  bool add(const AddArgs& a) {
    const bool a_is_kept = a.a.values.data == kept_edge_;
    if (!survives_ || !row_.empty() || !has_one_row(a.out) || !is_f32(a.out)) return false;
    if (find_floats(a_is_kept ? a.b : a.a) == nullptr || (!a_is_kept && a.b.values.data != kept_edge_)) return false;
    LinearPhase& l = phases_.back().linear;  // what was found
    if (l.out.count != 1) return false;
    l.handed[0] = nullptr, l.adds_residual = true;
    l.out.part[0].data = a.out.values.data;
    ended_ = true;  // the sum is no block's
    return true;
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
  }

  // What the phase before the next one hands on.
  const Handed* find(const Operand& o) const {
    const auto at = handed_.find(o.values.data);
    return at == handed_.end() || phases_.size() - at->second.phase != 1 ? nullptr : &at->second;
  }
  const Handed* find_floats(const Operand& o) const { return is_f32(o) ? find(o) : nullptr; }

  // Whether the edge is the row, or can be made it.
  bool take_row(const Operand& x) {
    if (x.values.data == nullptr) return false;
    if (x.values.data == row_edge_) return true;
    return x.values.data == kept_edge_ && row_.empty() && push({RowOpKind::kKept}, x);
  }

  bool note_width(const Operand& o) {
    const int32_t width = o.values.dim[1];
    if (width % 4 != 0 || width > kLongestTokenRow) return false;
    program_.row_floats = std::max(program_.row_floats, width);
    return true;
  }

  bool push(RowOp op, const Operand& edge) {
    op.width = edge.values.dim[1];
    row_.push_back(op);
    return note_width(edge);
  }

  // Norms whose scale went into a linear when the model was quantized have ones.
  bool are_ones(const TensorView& v) const {
    std::vector<float> values(static_cast<size_t>(v.dim[0]));
    device_.download(values.data(), v.data, values.size() * sizeof(float));
    return std::all_of(values.begin(), values.end(), [](float w) { return w == 1.0f; });
  }

  bool push_norm(const Operand& out, const TensorView& weight, double eps, int32_t groups) {
    if (!in_pieces_of_16(weight.data) || out.values.dim[1] % (4 * groups) != 0) return false;
    RowOp op = {RowOpKind::kNorm};
    op.groups = groups;
    op.eps = static_cast<float>(eps);
    if (weight.data != nullptr && !are_ones(weight)) op.weight = static_cast<const float*>(weight.data);
    wrote(out.values.data);
    row_edge_ = out.values.data;
    return push(op, out);
  }

  bool push_rotation(const Operand& out, Rotation rotation) {
    const int32_t width = out.values.dim[1];
    RowOp op = {RowOpKind::kRotate};
    const std::pair<int32_t, Rotation> wanted = {width, rotation};
    while (op.rotation < program_.rotation_count && rotations_[op.rotation] != wanted) ++op.rotation;
    if (op.rotation == kMostRotations) return false;
    if (op.rotation == program_.rotation_count) {
      rotations_[op.rotation] = wanted;
      program_.rotation[program_.rotation_count++] = hadamard_shape(width, rotation == Rotation::kTransposedHadamard);
    }
    wrote(out.values.data);
    row_edge_ = out.values.data;
    return push(op, out);
  }

  bool set_linear(const LinearArgs& a, LinearPhase* l) {
    using enum WeightKind;
    for (WeightKind kind : {kI8, kI4Ratio, kI4, kI6, kI4Float, kI6Float, kI8Float, kBF16, kF16}) {
      if (refuse_kind(a, kind) != nullptr) continue;
      if (!multiplies_codes(kind) && !is_f32(a.x)) return false;
      const LinearLayout layout = layout_of(a, kind);
      const PreparedWeight weight = prepared_weight(a.prepared, layout);
      const int32_t blocks = spec_.multiprocessors, padded = layout.k_tiles * tile_columns(kind);
      if (padded > kLongestTokenRow) return false;
      program_.row_floats = std::max(program_.row_floats, padded);
      if (!streams_.empty() && program_.kind != kind) return false;  // a kernel has one
      program_.kind = kind;
      const Numbers x = numbers_of(a.x);
      l->x_by = x.by, l->x_scale = static_cast<const float*>(x.scales);
      l->outputs = layout.outputs, l->inner = layout.inner, l->k_tiles = layout.k_tiles;
      if (!find_shape({layout.bands, layout.k_tiles}, &l->shape)) return false;
      l->row_scales = has_row_scales(kind) ? weight.rows : nullptr;
      l->out = parts_of(a);
      if (has_groups(kind)) {
        while (layout.groups << l->group_shift < layout.k_tiles) ++l->group_shift;
        if (layout.groups << l->group_shift != layout.k_tiles) return false;
      }
      streams_.push_back({weight.codes, weight.groups, l->shape, l->group_shift, 0});
      const int32_t tiles = (layout.bands + blocks - 1) / blocks * layout.k_tiles;
      const int32_t most = (tiles + kTokenWarps - 1) / kTokenWarps;  // a warp
      program_.partial_bands = std::max(program_.partial_bands, (most + layout.k_tiles - 1) / layout.k_tiles + 1);
      return true;
    }
    return false;
  }

  bool find_shape(LinearShape wanted, int32_t* at) {
    const auto is_wanted = [&](const LinearShape& s) { return s.bands == wanted.bands && s.k_tiles == wanted.k_tiles; };
    LinearShape* const end = program_.shape + program_.shape_count;
    LinearShape* const found = std::find_if(program_.shape, end, is_wanted);
    *at = static_cast<int32_t>(found - program_.shape);
    if (found != end) return true;
    if (program_.shape_count == kMostShapes) return false;
    program_.shape[program_.shape_count++] = wanted;
    return true;
  }

  // Conv, scan and gate are one phase, whose output becomes the row.
  bool push_scan(const Operand& y, const Operand& z) {
    const Handed* gate = find(z);
    if (scan_ == nullptr || y.values.data != scan_->out.values.data || gate == nullptr) return false;
    Phase phase = {};
    phase.kind = PhaseKind::kScan;
    if (!set_scan(*gate, &phase.scan)) return false;
    phase.scan.out = reinterpret_cast<Tagged*>(region());
    phases_.push_back(phase);
    RowOp op = {RowOpKind::kLoad};
    op.handed = phase.scan.out;
    conv_ = nullptr, scan_ = nullptr;
    row_edge_ = nullptr;
    return row_.empty() && push(op, y);
  }

  bool set_scan(const Handed& z, ScanPhase* s) {
    const CausalConv1dArgs& conv = *conv_;
    const SsdScanArgs& a = *scan_;
    const Handed& dt = *find(a.dt);
    s->input = conv_input_.tagged, s->dt = dt.tagged, s->z = z.tagged;
    s->history = conv_input_.numbers;
    s->history.data = conv.state.values.data, s->history.stride = conv.state.values.stride[1];
    s->conv_weight = numbers_of(conv.weight), s->conv_bias = static_cast<const float*>(conv.bias.data);
    s->silu = conv.activation == Activation::kSilu;
    std::copy_n(conv.out.begin, 3, s->begin);
    s->x = numbers_of(a.x), s->b = numbers_of(a.b), s->c = numbers_of(a.c);
    s->dt_scales = dt.numbers, s->z_scales = z.numbers;
    s->a_log = static_cast<const float*>(a.a_log.data), s->d = static_cast<const float*>(a.d.data);
    s->dt_bias = static_cast<const float*>(a.dt_bias.data);
    s->dt_min = static_cast<float>(a.dt_min), s->dt_max = static_cast<float>(std::min(a.dt_max, 3e38));
    s->state = scan_state(a.state);
    const TensorView& v = a.state.values;
    s->d_per_channel = a.d.data != nullptr && a.d.dim[0] == v.dim[1] * v.dim[3] && v.dim[3] != 1;
    program_.segments = a.segments;
    return a.segments == conv.segments && choose_parts(v.dim[1], a.groups, v.dim[2], v.dim[3]);
  }

  // As many parts a head as there are blocks for, of a power of two times 8 channels. The same for all layers.
  bool choose_parts(int32_t heads, int32_t groups, int32_t states, int32_t width) {
    TokenProgram& p = program_;
    const int32_t eights = width / 8;
    if (width > 64 || (eights & (eights - 1)) != 0) return false;
    if (p.heads > 0) return p.heads == heads && p.groups == groups && p.states == states && p.width == width;
    p.heads = heads, p.groups = groups, p.states = states, p.width = width, p.parts = 1;
    while (p.parts * 2 <= eights && heads * p.parts * 2 <= spec_.multiprocessors) p.parts *= 2;
    const int32_t channels = width / p.parts;
    return heads * p.parts <= spec_.multiprocessors && channels + 2 * states <= kTokenThreads &&
           states * channels <= 8 * kTokenThreads * kMostStateRows;
  }

  bool fits() {
    program_.row_floats = (program_.row_floats + 3) / 4 * 4;
    program_.phase_count = static_cast<int32_t>(phases_.size());
    program_.stream_count = static_cast<int32_t>(streams_.size());
    program_.stages = kMostStages;
    const auto is_too_large = [&] { return token_shared(program_).total + 4096 > spec_.shared_bytes; };
    while (program_.stages > 1 && is_too_large()) --program_.stages;
    return !is_too_large();
  }

  char* region() const { return scratch_ + phases_.size() % kTokenRegions * region_; }

  const DeviceSpec& spec_;
  Device& device_;
  char* scratch_;
  size_t region_;
  bool survives_ = false, ended_ = false;
  std::vector<RowOp> row_;  // of the linear to come
  const void *row_edge_ = nullptr, *kept_edge_ = nullptr;
  std::map<const void*, Handed> handed_;  // by where the plan has the edge
  std::pair<int32_t, Rotation> rotations_[kMostRotations];
  const CausalConv1dArgs* conv_ = nullptr;
  Handed conv_input_ = {};
  const SsdScanArgs* scan_ = nullptr;
};

class CompiledToken : public Program {
 public:
  CompiledToken(const TokenCompiler& compiler, Storage scratch, Device& device, int32_t blocks, void* stream)
      : scratch_(std::move(scratch)), program_(compiler.program_), blocks_(blocks), stream_(stream) {
    const size_t phases = aligned(compiler.phases_.size() * sizeof(Phase));
    const size_t streams = aligned(compiler.streams_.size() * sizeof(WeightStream));
    code_ = Storage(&device, phases + streams);
    char* at = static_cast<char*>(code_.data());
    device.upload(at, compiler.phases_.data(), compiler.phases_.size() * sizeof(Phase));
    device.upload(at + phases, compiler.streams_.data(), compiler.streams_.size() * sizeof(WeightStream));
    program_.phases = reinterpret_cast<const Phase*>(at);
    program_.streams = reinterpret_cast<const WeightStream*>(at + phases);
  }

  void run() override {
    launch_token_program(program_, blocks_, stream_);
    program_.before += static_cast<uint32_t>(program_.phase_count);
  }

 private:
  Storage scratch_, code_;
  TokenProgram program_;
  int32_t blocks_;
  void* stream_;
};

}  // namespace
}  // namespace cuda

std::unique_ptr<Program> compile_token_program(ProgramSteps steps, Device& device, const DeviceSpec& spec,
                                               void* stream) {
  if (spec.architecture < 90 || spec.multiprocessors > cuda::kTokenThreads) return nullptr;
  size_t region = 0;
  for (const ProgramStep& step : steps) region = std::max(region, cuda::room_of(*step.args));
  Storage scratch(&device, std::max<size_t>(cuda::kTokenRegions * region, 1));
  cuda::TokenCompiler compiler(spec, device, static_cast<char*>(scratch.data()), region);
  if (!compiler.compile(steps) || !cuda::has_token_kernel(compiler.program_.kind)) return nullptr;
  return std::make_unique<cuda::CompiledToken>(compiler, std::move(scratch), device, spec.multiprocessors, stream);
}

}  // namespace quamba2
