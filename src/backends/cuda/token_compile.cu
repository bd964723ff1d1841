// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/token_compile.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "backends/cuda/linear_parts.cuh"
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
  if (const auto* scan = std::get_if<SsdScanArgs>(&args)) {
    add(scan->out);
    bytes += aligned(kTokenThreads * sizeof(Tagged));  // squares
  }
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
    return !phases_.empty() && !has_row_ && conv_ == nullptr && scan_ == nullptr && fits();
  }

  TokenProgram program_ = {};
  std::vector<Phase> phases_;
  std::vector<WeightStream> streams_;
  std::vector<Storage> tables_;

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
    return begin_row(RowSource::kEmbed, a.out) && keep(a.out);
  }

  bool add(const SelectRowsArgs& a) {
    if (survives_ || !has_one_row(a.out) || !is_f32(a.x) || program_.selected != nullptr) return false;
    if (find(a.x) != nullptr || !in_pieces_of_16(a.x.values.data) || a.x.values.stride[0] % 4 != 0) return false;
    program_.selected = static_cast<const int32_t*>(a.rows.data);
    if (!begin_row(RowSource::kSelect, a.out)) return false;
    row_.from = static_cast<const float*>(a.x.values.data);
    row_.stride = a.x.values.stride[0];
    return keep(a.out);
  }

  bool add(const RmsNormArgs& a) {
    if (survives_ || !has_one_row(a.out) || !is_f32(a.x)) return false;
    if (a.addend.values.rank > 0) {
      const bool x_is_kept = a.x.values.data == kept_edge_;
      const Handed* from = find_floats(x_is_kept ? a.addend : a.x);
      if (from == nullptr || (!x_is_kept && a.addend.values.data != kept_edge_)) return false;
      if (!begin_row(RowSource::kHanded, a.sum)) return false;
      row_.handed = from->tagged;
      row_.adds = true;
      keep(a.sum);
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
    phase.linear.row = row_;
    has_row_ = false;
    row_edge_ = nullptr;
    if (!hand_on(a, &phase.linear)) return false;
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
    if (survives_ || !push_scan(a.y, a.z, false)) return false;
    wrote(a.out.values.data);
    row_edge_ = a.out.values.data;
    return a.rotation == Rotation::kNone || push_rotation(a.out, a.rotation);
  }

  bool add(const GatedRmsNormArgs& a) {
    if (survives_ || a.norm_before_gate || !push_scan(a.y, a.z, true)) return false;
    if (!push_norm(a.out, a.weight, a.eps, a.groups)) return false;
    return a.rotation == Rotation::kNone || push_rotation(a.out, a.rotation);
  }

  bool add(const AddArgs& a) {
    const bool a_is_kept = a.a.values.data == kept_edge_;
    if (!survives_ || has_row_ || !has_one_row(a.out) || !is_f32(a.out)) return false;
    if (find_floats(a_is_kept ? a.b : a.a) == nullptr || (!a_is_kept && a.b.values.data != kept_edge_)) return false;
    LinearPhase& l = phases_.back().linear;  // what was found
    if (parts_ != 1 || !is_float_handed_) return false;
    l.handed = nullptr, l.adds_residual = true;
    l.data = static_cast<float*>(a.out.values.data);
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
    return x.values.data == kept_edge_ && begin_row(RowSource::kKept, x);
  }

  bool note_width(const Operand& o) {
    const int32_t width = o.values.dim[1];
    if (width % 4 != 0 || width > kLongestTokenRow) return false;
    program_.row_floats = std::max(program_.row_floats, width);
    return true;
  }

  bool begin_row(RowSource source, const Operand& edge) {
    if (has_row_) return false;
    row_ = {};
    row_is_of_scan_ = false;
    row_.source = source, row_.width = edge.values.dim[1], row_.groups = 1, row_.first_rotation = -1;
    has_row_ = true;
    wrote_row(edge);
    return note_width(edge);
  }
  void wrote_row(const Operand& edge) {
    const void* const kept = kept_edge_;
    wrote(edge.values.data);
    if (row_.source == RowSource::kKept && edge.values.data == kept) kept_edge_ = kept;
    row_edge_ = edge.values.data;
  }
  // The row becomes the residual.
  bool keep(const Operand& edge) {
    row_.keeps = true;
    kept_edge_ = edge.values.data;
    return true;
  }

  // Norms whose scale went into a linear when the model was quantized have ones.
  bool are_ones(const TensorView& v) const {
    std::vector<float> values(static_cast<size_t>(v.dim[0]));
    device_.download(values.data(), v.data, values.size() * sizeof(float));
    return std::all_of(values.begin(), values.end(), [](float w) { return w == 1.0f; });
  }

  bool push_norm(const Operand& out, const TensorView& weight, double eps, int32_t groups) {
    if (!in_pieces_of_16(weight.data) || out.values.dim[1] % (4 * groups) != 0) return false;
    RowForm& row = row_;
    const bool of_scan = row.squares != nullptr;
    if (!has_row_ || row.has_norm || out.values.dim[1] != row.width) return false;
    if (groups > 1 && (!of_scan || groups > kMostGroups || program_.heads % groups != 0)) return false;
    if (row.turn != RowTurn::kNone) {  // the rotation came first
      if (row.turn != RowTurn::kAny || of_scan || row.first_rotation >= 0) return false;
      row.first_rotation = row.rotation, row.turn = RowTurn::kNone;
    }
    row.has_norm = true, row.groups = groups, row.eps = static_cast<float>(eps);
    if (weight.data != nullptr && !are_ones(weight)) row.weight = static_cast<const float*>(weight.data);
    wrote_row(out);
    return true;
  }

  bool push_rotation(const Operand& out, Rotation rotation) {
    const int32_t width = out.values.dim[1];
    if (!has_row_ || row_.turn != RowTurn::kNone || width != row_.width) return false;
    const std::pair<int32_t, Rotation> wanted = {width, rotation};
    int32_t& at = row_.rotation;
    for (at = 0; at < program_.rotation_count && rotations_[at] != wanted;) ++at;
    if (at == kMostRotations) return false;
    if (at == program_.rotation_count) {
      rotations_[at] = wanted;
      program_.rotation[program_.rotation_count++] = hadamard_shape(width, rotation == Rotation::kTransposedHadamard);
    }
    row_.turn = RowTurn::kAny;
    turn_in_parts(rotation);
    wrote_row(out);
    return true;
  }

  // Where the row comes from a scan phase and no weights lie between, that phase does its part of the rotation.
  void turn_in_parts(Rotation rotation) {
    const int32_t core = program_.rotation[row_.rotation].core, order = core == 1 ? 16 : core;
    const bool is_symmetric = core == 1 || core == 28;
    if (!row_is_of_scan_ || row_.weight != nullptr) return;
    if (rotation == Rotation::kTransposedHadamard && !is_symmetric) return;
    const int32_t channels = program_.width / program_.parts, run = row_.width / order;
    const int32_t rest = run / channels;
    if (row_.width % (order * channels) != 0 || run > kTokenThreads) return;
    if (rest > 1 << kLargestRest || (rest & (rest - 1)) != 0) return;
    while (1 << row_.levels < rest) ++row_.levels;
    while (1 << row_.channels_shift < channels) ++row_.channels_shift;
    row_.turn = order == 12   ? RowTurn::kTwelve
                : order == 20 ? RowTurn::kTwenty
                : order == 28 ? RowTurn::kTwentyEight
                              : RowTurn::kSixteen;
    phases_.back().scan.rotates = true;
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
      if (multiplies_codes(kind)) {
        l->x_is_dynamic = x.by == ScaleBy::kRow;
        if (!l->x_is_dynamic) set_x_scale(read_floats(x.scales, 1)[0], l);
      }
      l->outputs = layout.outputs, l->inner = layout.inner, l->k_tiles = layout.k_tiles;
      if (!find_shape({layout.bands, layout.k_tiles}, &l->shape)) return false;
      set_results(a, layout, has_row_scales(kind) ? weight.rows : nullptr, l);
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

  // As code_factor (device/numbers.cuh).
  static void set_x_scale(float scale, LinearPhase* l) {
    l->x_scale = scale;
    l->x_up = scale < 0x1p-60f ? 0x1p+64f : 1.0f;
    l->x_inverse = scale > 0.0f ? 1.0f / (scale * l->x_up) : 0.0f;
  }

  void set_results(const LinearArgs& a, const LinearLayout& layout, const float* row_scales, LinearPhase* l) {
    std::vector<ResultColumn> columns(static_cast<size_t>(layout.bands) * kBandRows, {1.0f, 0.0f, -1.0f, 0});
    const auto outputs = static_cast<size_t>(layout.outputs);
    const std::vector<float> scales = read_floats(row_scales, outputs), bias = read_floats(a.bias.data, outputs);
    for (size_t n = 0; n < outputs; ++n) {
      if (!scales.empty()) columns[n].scale = scales[n];
      if (!bias.empty()) columns[n].bias = bias[n];
    }
    size_t to = 0;
    for (int i = 0; i < a.out.count; ++i) {
      const auto begin = static_cast<size_t>(a.out.begin[i]), end = static_cast<size_t>(a.out.begin[i + 1]);
      const std::vector<float> codes = scales_of(numbers_of(a.out.part[i]), end - begin);
      for (size_t n = begin; n < end; ++n) {
        columns[n].to = static_cast<uint32_t>(to + n - begin);
        if (!codes.empty()) columns[n].code_scale = codes[n - begin];
      }
      to += aligned((end - begin) * sizeof(Tagged)) / sizeof(Tagged);
    }
    l->results = store(columns);
  }

  // Where the results go: all parts to the next phases, or one to the memory that the plan has for it.
  bool hand_on(const LinearArgs& a, LinearPhase* l) {
    parts_ = a.out.count;
    is_float_handed_ = is_f32(a.out.part[0]);
    char* to = region();
    if (survives_) {
      l->data = static_cast<float*>(a.out.part[0].values.data);
    } else {
      l->handed = reinterpret_cast<Tagged*>(to);
    }
    if (survives_ && (a.out.count != 1 || !is_f32(a.out.part[0]))) return false;
    for (int i = 0; i < a.out.count; ++i) {
      const Operand& part = a.out.part[i];
      if (!is_plain(part)) return false;
      wrote(part.values.data);
      if (!survives_) handed_[part.values.data] = {numbers_of(part), reinterpret_cast<Tagged*>(to), phases_.size()};
      to += aligned(static_cast<size_t>(part.values.dim[1]) * sizeof(Tagged));
    }
    return true;
  }

  // Numbers of the device, read once.
  std::vector<float> read_floats(const void* from, size_t count) const {
    std::vector<float> out(from == nullptr ? 0 : count);
    if (from != nullptr) device_.download(out.data(), from, count * sizeof(float));
    return out;
  }
  // A scale a column, or none where the numbers have none.
  std::vector<float> scales_of(const Numbers& x, size_t columns) const {
    if (x.by == ScaleBy::kNothing) return {};
    if (x.by == ScaleBy::kTensor) return std::vector<float>(columns, read_floats(x.scales, 1)[0]);
    return read_floats(x.scales, columns);
  }
  // A table that the kernel reads.
  template <class T>
  const T* store(const std::vector<T>& table) {
    tables_.emplace_back(&device_, std::max<size_t>(table.size() * sizeof(T), 1));
    device_.upload(tables_.back().data(), table.data(), table.size() * sizeof(T));
    return static_cast<const T*>(tables_.back().data());
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
  bool push_scan(const Operand& y, const Operand& z, bool has_norm) {
    const Handed* gate = find(z);
    if (scan_ == nullptr || y.values.data != scan_->out.values.data || gate == nullptr) return false;
    Phase phase = {};
    phase.kind = PhaseKind::kScan;
    if (has_row_ || !set_scan(*gate, &phase.scan)) return false;
    const auto outputs = static_cast<size_t>(program_.heads) * static_cast<size_t>(program_.width);
    phase.scan.out = reinterpret_cast<Tagged*>(region());
    if (has_norm) phase.scan.squares = reinterpret_cast<Tagged*>(region() + aligned(outputs * sizeof(Tagged)));
    phases_.push_back(phase);
    conv_ = nullptr, scan_ = nullptr;
    row_edge_ = nullptr;
    if (!begin_row(RowSource::kHanded, y)) return false;
    row_.handed = phase.scan.out, row_.squares = phase.scan.squares;
    row_.square_count = program_.heads * program_.parts;
    row_is_of_scan_ = true;
    return true;
  }

  bool set_scan(const Handed& z, ScanPhase* s) {
    const CausalConv1dArgs& conv = *conv_;
    const SsdScanArgs& a = *scan_;
    const TensorView& v = a.state.values;
    if (a.segments != conv.segments || !choose_parts(v.dim[1], a.groups, v.dim[2], v.dim[3])) return false;
    program_.segments = a.segments;
    const Handed& dt = *find(a.dt);
    s->input = conv_input_.tagged, s->dt = dt.tagged, s->z = z.tagged;
    s->history = conv.state.values.data, s->history_stride = conv.state.values.stride[1];
    s->history_is_codes = conv_input_.numbers.dtype == DType::kI8;
    s->silu = conv.activation == Activation::kSilu;
    std::copy_n(conv.out.begin, 3, s->begin);
    s->conv = conv_columns();
    s->heads = scan_heads(dt.numbers);
    s->channels = scan_channels(z.numbers);
    s->dt_min = static_cast<float>(a.dt_min), s->dt_max = static_cast<float>(std::min(a.dt_max, 3e38));
    s->state = scan_state(a.state);
    return true;
  }

  const ConvColumn* conv_columns() {
    const CausalConv1dArgs& conv = *conv_;
    const auto count = static_cast<size_t>(conv.x.values.dim[1]);
    std::vector<ConvColumn> columns(count, {{}, 0.0f, 1.0f, -1.0f, 0.0f});
    const std::vector<float> bias = read_floats(conv.bias.data, count), in = scales_of(conv_input_.numbers, count);
    const Numbers w = numbers_of(conv.weight);
    const std::vector<float> by = scales_of(w, count);
    std::vector<float> taps = w.dtype == DType::kI8 ? std::vector<float>(count * kTaps) : read_floats(w.data, count * kTaps);
    if (w.dtype == DType::kI8) {
      std::vector<int8_t> codes(count * kTaps);
      device_.download(codes.data(), w.data, codes.size());
      for (size_t i = 0; i < codes.size(); ++i) taps[i] = static_cast<float>(codes[i]);
    }
    for (size_t c = 0; c < count; ++c) {
      for (size_t k = 0; k < kTaps; ++k)
        columns[c].weight[k] = taps[c * kTaps + k] * (w.dtype == DType::kI8 && !by.empty() ? by[c] : 1.0f);
      if (!bias.empty()) columns[c].bias = bias[c];
      if (!in.empty()) columns[c].in_scale = in[c];
    }
    const Operand* const parts[] = {&scan_->x, &scan_->b, &scan_->c};
    for (int i = 0; i < 3; ++i) {
      const auto begin = static_cast<size_t>(conv.out.begin[i]), end = static_cast<size_t>(conv.out.begin[i + 1]);
      const std::vector<float> out = scales_of(numbers_of(*parts[i]), end - begin);
      for (size_t c = begin; c < end && !out.empty(); ++c) columns[c].out_scale = out[c - begin];
    }
    return store(columns);
  }

  const ScanHead* scan_heads(const Numbers& dt) {
    const auto count = static_cast<size_t>(program_.heads);
    std::vector<ScanHead> heads(count, {1.0f, 0.0f, 0.0f, 0.0f});
    const std::vector<float> scales = scales_of(dt, count), bias = read_floats(scan_->dt_bias.data, count),
                             a_log = read_floats(scan_->a_log.data, count);
    for (size_t h = 0; h < count; ++h) {
      if (!scales.empty()) heads[h].dt_scale = scales[h];
      if (!bias.empty()) heads[h].dt_bias = bias[h];
      heads[h].a_log = a_log[h];
    }
    return store(heads);
  }

  const ScanChannel* scan_channels(const Numbers& z) {
    const auto width = static_cast<size_t>(program_.width), count = static_cast<size_t>(program_.heads) * width;
    std::vector<ScanChannel> channels(count, {1.0f, 0.0f});
    const TensorView& d = scan_->d;
    const size_t skips = d.data != nullptr ? static_cast<size_t>(d.dim[0]) : 0;
    const std::vector<float> scales = scales_of(z, count), skip = read_floats(d.data, skips);
    for (size_t c = 0; c < count; ++c) {
      if (!scales.empty()) channels[c].z_scale = scales[c];
      if (!skip.empty()) channels[c].skip = skip[skips == count ? c : c / width];
    }
    return store(channels);
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
    const auto is_too_large = [&] { return token_shared(program_).total + kStaticSharedBytes > spec_.shared_bytes; };
    while (program_.stages > 1 && is_too_large()) --program_.stages;
    return !is_too_large();
  }

  char* region() const { return scratch_ + phases_.size() % kTokenRegions * region_; }

  const DeviceSpec& spec_;
  Device& device_;
  char* scratch_;
  size_t region_;
  bool survives_ = false, ended_ = false;
  RowForm row_ = {};  // of the linear to come
  bool has_row_ = false, row_is_of_scan_ = false;
  int parts_ = 0;                 // of the last linear phase
  bool is_float_handed_ = false;  // its first
  const void *row_edge_ = nullptr, *kept_edge_ = nullptr;
  std::map<const void*, Handed> handed_;  // by where the plan has the edge
  std::pair<int32_t, Rotation> rotations_[kMostRotations];
  const CausalConv1dArgs* conv_ = nullptr;
  Handed conv_input_ = {};
  const SsdScanArgs* scan_ = nullptr;
};

class CompiledToken : public Program {
 public:
  CompiledToken(TokenCompiler& compiler, Storage scratch, Device& device, int32_t blocks, void* stream)
      : scratch_(std::move(scratch)), tables_(std::move(compiler.tables_)), program_(compiler.program_), blocks_(blocks), stream_(stream) {
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
  size_t region = 0;
  for (const ProgramStep& step : steps) region = std::max(region, cuda::room_of(*step.args));
  Storage scratch(&device, std::max<size_t>(cuda::kTokenRegions * region, 1));
  cuda::TokenCompiler compiler(spec, device, static_cast<char*>(scratch.data()), region);
  if (!compiler.compile(steps) || !cuda::has_token_kernel(compiler.program_.kind)) return nullptr;
  return std::make_unique<cuda::CompiledToken>(compiler, std::move(scratch), device, spec.multiprocessors, stream);
}

}  // namespace quamba2
