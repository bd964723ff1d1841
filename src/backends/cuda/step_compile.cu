// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/step_compile.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "backends/cuda/device/hadamard.cuh"
#include "backends/cuda/linear_prepare.h"
#include "backends/cuda/mixer_step.cuh"
#include "backends/cuda/step_linear.cuh"
#include "backends/cuda/table.h"

namespace quamba2 {
namespace cuda {
namespace {

constexpr int kMixerSteps = 6;

bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }
bool has_one_row(const Operand& o) { return o.values.rank == 2 && o.values.dim[0] == 1 && o.values.stride[1] == 1; }
bool is_f32_row(const Operand& o) {
  return has_one_row(o) && o.format.storage == DType::kF32 && o.format.levels == 0 && is_aligned(o.values.data);
}
// Codes of 8 bits under f32 scales.
bool is_codes_row(const Operand& o) {
  return has_one_row(o) && o.format.storage == DType::kI8 && o.format.levels == 1 &&
         o.format.level[0].dtype == DType::kF32;
}
bool has_static_scales(const Operand& o) {
  const Grain grain = o.format.level[0].grain;
  return is_codes_row(o) && !o.format.dynamic && (grain == Grain::kTensor || grain == Grain::kColumn);
}
bool has_row_scale(const Operand& o) { return is_codes_row(o) && is_dynamic_row(o.format); }

size_t bytes_of(const Operand& o) { return static_cast<size_t>(o.values.dim[1]) * bits_of(o.values.dtype) / 8; }
bool are_disjoint(const void* a, size_t a_bytes, const void* b, size_t b_bytes) {
  const auto x = reinterpret_cast<uintptr_t>(a), y = reinterpret_cast<uintptr_t>(b);
  return x + a_bytes <= y || y + b_bytes <= x;
}

bool find_kind(const LinearArgs& a, WeightKind* kind) {
  if (a.prepared == nullptr) return false;
  for (WeightKind k : {WeightKind::kI8, WeightKind::kI4Ratio}) {
    if (refuse_kind(a, k) != nullptr) continue;
    *kind = k;
    return true;
  }
  return false;
}

using Launches = std::vector<std::function<void(const Stream&)>>;

// Reads steps in order. The residual stream of layers that are taken lives in memory of the program's own, which each
// out_proj adds to: where the plan puts it may be in use until then.
class StepCompiler {
 public:
  StepCompiler(ProgramSteps steps, const DeviceSpec& spec, float* residual)
      : steps_(steps), spec_(spec), residual_(residual) {}

  bool compile() {
    for (size_t i = 0; i < steps_.size();) {
      const size_t taken = take(i);
      if (taken == 0) return false;
      for (size_t k = i; k < i + taken; ++k) forget_overwritten(*steps_[k].args);
      i += taken;
    }
    return mixers_ > 0;
  }

  Launches launches_;
  size_t scratch_bytes_ = 0;

 private:
  template <class Args>
  const Args* at(size_t i) const {
    return i < steps_.size() ? std::get_if<Args>(steps_[i].args) : nullptr;
  }

  // How many steps were taken; 0 where that cannot be.
  size_t take(size_t i) {
    if (take_mixer(i)) return kMixerSteps;
    if (take_norm(i)) return 2;
    if (const size_t taken = take_addition(i)) return taken;
    return take_alone(i) ? 1 : 0;
  }

  // Whether a step from `i` on reads what lies there now.
  bool is_read(size_t i, const void* data) const {
    for (; i < steps_.size(); ++i) {
      OpArgs args = *steps_[i].args;
      bool reads = false, writes = false;
      std::visit(
          [&](auto& a) {
            visit_inputs(a, [&](Operand& o) { reads |= o.values.data == data; });
            visit_outputs(a, [&](Operand& o) { writes |= o.values.data == data; });
          },
          args);
      if (reads || writes) return reads;
    }
    return false;
  }

  void forget_overwritten(OpArgs args) {
    std::visit(
        [&](auto& a) {
          visit_outputs(a, [&](Operand& o) {
            if (o.values.data == residual_edge_ && !is_new_) residual_edge_ = nullptr;
          });
        },
        args);
    is_new_ = false;
  }

  const float* floats_of(const Operand& o) const {
    return o.values.data == residual_edge_ ? residual_ : static_cast<const float*>(o.values.data);
  }

  // rms_norm and the linear behind it.
  bool take_norm(size_t i) {
    const auto* norm = at<RmsNormArgs>(i);
    const auto* linear = at<LinearArgs>(i + 1);
    if (!norm || !linear || steps_[i].survives || linear->x.values.data != norm->out.values.data) return false;
    const bool is_sum = norm->addend.values.rank > 0;
    const Operand& x = is_sum ? norm->sum : norm->x;
    if (is_sum && x.values.data != residual_edge_) return false;
    WeightKind kind;
    if (!is_f32_row(x) || !has_row_scale(norm->out) || !find_kind(*linear, &kind)) return false;
    const int32_t width = x.values.dim[1];
    if (width % 4 != 0 || width > kLongestStepNorm || !is_aligned(norm->weight.data)) return false;
    if (is_read(i + 2, norm->out.values.data)) return false;
    StepLinear p = step_of(*linear, kind);
    if (p.weight.bands > kMostStepBands * spec_.multiprocessors) return false;
    p.norms = true;
    p.x.data = const_cast<float*>(floats_of(x));
    p.norm_weight = static_cast<const float*>(norm->weight.data);
    p.eps = static_cast<float>(norm->eps);
    for (int k = 0; k < linear->out.count; ++k) {  // other blocks may still read x
      const Operand& part = linear->out.part[k];
      if (!are_disjoint(p.x.data, static_cast<size_t>(width) * 4, part.values.data, bytes_of(part))) return false;
    }
    launches_.push_back([=](const Stream& stream) { run_step_linear(kind, p, stream); });
    return true;
  }

  static StepLinear step_of(const LinearArgs& a, WeightKind kind) {
    StepLinear p = {};
    p.weight = prepared_weight(a.prepared, layout_of(a, kind));
    p.x = numbers_of(a.x);
    p.out = parts_of(a);
    return p;
  }

  // A linear, and the addition of the residual stream behind it: an add, or that of the next rms_norm, which is left.
  size_t take_addition(size_t i) {
    const auto* linear = at<LinearArgs>(i);
    const auto* norm = at<RmsNormArgs>(i + 1);
    const auto* add = at<AddArgs>(i + 1);
    const bool is_sum = norm && norm->addend.values.rank > 0;
    if (!linear || steps_[i].survives || linear->out.count != 1 || (!is_sum && !add)) return 0;
    const Operand &first = is_sum ? norm->x : add->a, &second = is_sum ? norm->addend : add->b,
                  &sum = is_sum ? norm->sum : add->out, &out = linear->out.part[0];
    const bool is_first = first.values.data == out.values.data;
    if (!is_first && second.values.data != out.values.data) return 0;
    WeightKind kind;
    if (!has_row_scale(linear->x) || !find_kind(*linear, &kind)) return 0;
    if (!is_f32_row(first) || !is_f32_row(second) || !is_f32_row(sum)) return 0;
    if (linear->x.values.dim[1] % 16 != 0 || linear->x.values.dim[1] > kLongestStepRow ||
        !is_aligned(linear->x.values.data) || is_read(i + 2, out.values.data))
      return 0;
    StepLinear p = step_of(*linear, kind);
    if (p.weight.bands > 2 * kMostStepBands * spec_.multiprocessors) return 0;
    p.addend = floats_of(is_first ? second : first);
    p.sum = is_sum ? residual_ : static_cast<float*>(sum.values.data);
    if (is_sum && (steps_[i + 1].survives || !at<LinearArgs>(i + 2))) return 0;
    if (!is_sum && (!are_disjoint(p.sum, bytes_of(sum), p.x.data, bytes_of(linear->x)) ||
                    !are_disjoint(p.sum, bytes_of(sum), p.x.scales, sizeof(float)) ||
                    (p.sum != p.addend && !are_disjoint(p.sum, bytes_of(sum), p.addend, bytes_of(sum)))))
      return 0;
    launches_.push_back([=](const Stream& stream) { run_step_linear(kind, p, stream); });
    if (!is_sum) return 2;
    residual_edge_ = sum.values.data, is_new_ = true;
    return 1;
  }

  // causal_conv1d, convert, linear (x_proj), linear (dt_proj), selective_scan, gate and its transform.
  bool take_mixer(size_t i) {
    const auto* conv = at<CausalConv1dArgs>(i);
    const auto* convert = at<ConvertArgs>(i + 1);
    const auto *x_proj = at<LinearArgs>(i + 2), *dt_proj = at<LinearArgs>(i + 3);
    const auto* scan = at<SelectiveScanArgs>(i + 4);
    const auto* gate = at<GateArgs>(i + 5);
    if (!conv || !convert || !x_proj || !dt_proj || !scan || !gate) return false;
    if (conv->out.count != 1 || x_proj->out.count != 3 || dt_proj->out.count != 1) return false;
    const Operand &x = conv->out.part[0], &low = x_proj->out.part[0], &b = x_proj->out.part[1],
                  &c = x_proj->out.part[2], &dt = dt_proj->out.part[0];
    const std::pair<const Operand*, const Operand*> read[] = {{&convert->x, &x},   {&x_proj->x, &convert->out},
                                                              {&dt_proj->x, &low}, {&scan->x, &x},
                                                              {&scan->dt, &dt},    {&scan->b, &b},
                                                              {&scan->c, &c},      {&gate->y, &scan->out}};
    for (const auto& [reader, written] : read) {
      if (reader->values.data != written->values.data) return false;
    }
    for (int k = 0; k + 1 < kMixerSteps; ++k) {
      if (steps_[i + k].survives) return false;
    }
    for (const Operand* o : {&x, &convert->out, &low, &b, &c, &dt, &scan->out}) {
      const bool is_over = o->values.data == gate->out.values.data;  // the gate's output takes its place
      if (!is_over && is_read(i + kMixerSteps, o->values.data)) return false;
    }
    for (const Operand* o : {&conv->x, &x, &low, &b, &c, &dt, &gate->z}) {
      if (!has_static_scales(*o)) return false;
    }
    if (low.format.level[0].grain != Grain::kTensor || !is_f32_row(scan->out)) return false;
    if (!has_row_scale(convert->out) || !has_row_scale(gate->out) || gate->rotation == Rotation::kNone) return false;
    return push_mixer(*conv, *x_proj, *dt_proj, *scan, *gate);
  }

  bool push_mixer(const CausalConv1dArgs& conv, const LinearArgs& x_proj, const LinearArgs& dt_proj,
                  const SelectiveScanArgs& scan, const GateArgs& gate) {
    const int32_t channels = scan.a_log.dim[0], rank = x_proj.out.begin[1];
    WeightKind kind, dt_kind;
    if (!find_kind(x_proj, &kind) || !find_kind(dt_proj, &dt_kind) || dt_kind != WeightKind::kI8) return false;
    if (scan.a_log.dim[1] != kMixerStates || scan.a_log.stride[0] % 4 != 0 || !is_aligned(scan.a_log.data))
      return false;
    if (conv.weight.values.dim[1] != kMixerTaps || x_proj.bias.data || dt_proj.bias.data) return false;
    if (!(conv.state.format == conv.x.format)) return false;
    if (conv.segment_count != 1 || scan.segment_count != 1 || conv.segments != scan.segments) return false;
    if (!has_hadamard(channels)) return false;
    const HadamardShape h = hadamard_shape(channels, gate.rotation == Rotation::kTransposedHadamard);
    const LinearLayout x_layout = layout_of(x_proj, kind), dt_layout = layout_of(dt_proj, dt_kind);
    // Clusters of sixteen ask for sixteen multiprocessors that are neighbours: a slice of a device may not have them.
    const MixerShape shape = mixer_shape(x_layout, dt_layout, channels, spec_.multiprocessors < 100 ? 8 : 16);
    if (shape.blocks == 0 || shape.shared_bytes > spec_.shared_bytes || h.run < kMixerRun) return false;
    MixerStep p = {};
    p.x_in = numbers_of(conv.x), p.conv_weight = numbers_of(conv.weight), p.x = numbers_of(conv.out.part[0]);
    p.history = p.x_in;
    p.history.data = conv.state.values.data, p.history.stride = conv.state.values.stride[1];
    p.history_slot = conv.state.values.stride[0];
    p.conv_bias = static_cast<const float*>(conv.bias.data), p.silu = conv.activation == Activation::kSilu;
    p.x_proj = prepared_weight(x_proj.prepared, x_layout), p.dt_proj = prepared_weight(dt_proj.prepared, dt_layout);
    p.dt_low = numbers_of(x_proj.out.part[0]), p.dt = numbers_of(dt_proj.out.part[0]);
    p.b = numbers_of(x_proj.out.part[1]), p.c = numbers_of(x_proj.out.part[2]);
    p.a_log = static_cast<const float*>(scan.a_log.data), p.a_stride = scan.a_log.stride[0];
    p.d = static_cast<const float*>(scan.d.data), p.dt_bias = static_cast<const float*>(scan.dt_bias.data);
    p.state = scan_state(scan.state);
    p.z = numbers_of(gate.z), p.out = numbers_of(gate.out), p.segment = scan.segments;
    p.channels = channels, p.rank = rank;
    p.core = h.core, p.run_shift = h.run_shift, p.scale = h.scale;
    std::copy_n(h.minus, kMostMixerCore, p.minus);
    launches_.push_back([=](const Stream& stream) { run_mixer_step(kind, shape, p, stream); });
    ++mixers_;
    return true;
  }

  // A step as its kernel does it; not where it reads the residual stream, which is not where the plan says.
  bool take_alone(size_t i) {
    OpArgs args = *steps_[i].args;
    return std::visit(
        [&](auto& a) {
          using Args = std::decay_t<decltype(a)>;
          bool reads = false;
          visit_inputs(a, [&](Operand& o) { reads |= residual_edge_ && o.values.data == residual_edge_; });
          if (reads) return false;
          const KernelRows<Args> rows = rows_of(cuda_table(spec_.architecture), a);
          const auto* row = std::find_if(rows.rows, rows.rows + rows.count,
                                         [&](const auto& r) { return r.supports(a).refusal == nullptr; });
          if (row == rows.rows + rows.count) return false;
          if (row->scratch_bytes) scratch_bytes_ = std::max(scratch_bytes_, row->scratch_bytes(a, 1));
          launches_.push_back([=](const Stream& stream) { row->run(a, stream); });
          return true;
        },
        args);
  }

  ProgramSteps steps_;
  const DeviceSpec& spec_;
  float* residual_;
  const void* residual_edge_ = nullptr;  // where the plan has what lies in residual_
  bool is_new_ = false;
  int mixers_ = 0;
};

class RecordedSteps : public Program {
 public:
  RecordedSteps(const Launches& launches, Storage residual, Storage scratch, Device& device, void* stream)
      : residual_(std::move(residual)), scratch_(std::move(scratch)), device_(device) {
    Stream to;
    to.device = stream, to.scratch = static_cast<char*>(scratch_.data());
    device_.begin_recording();
    for (const auto& start : launches) start(to);
    work_ = device_.end_recording();
    device_.check_launch("a step of Mamba1");
  }
  ~RecordedSteps() override { device_.release_recording(work_); }

  void run() override { device_.replay(work_); }

 private:
  Storage residual_, scratch_;
  Device& device_;
  void* work_ = nullptr;
};

// The widest row that an rms_norm reads: the residual stream's, where it is one token's. 0 where there is nothing to take.
int32_t residual_width(ProgramSteps steps) {
  int32_t width = 0;
  bool scans = false;
  for (const ProgramStep& step : steps) {
    if (const auto* norm = std::get_if<RmsNormArgs>(step.args)) {
      if (norm->x.values.dim[0] != 1) return 0;
      width = std::max(width, norm->x.values.dim[1]);
    }
    scans = scans || std::holds_alternative<SelectiveScanArgs>(*step.args);
  }
  return scans ? width : 0;
}

}  // namespace
}  // namespace cuda

std::unique_ptr<Program> compile_step_program(ProgramSteps steps, Device& device, const DeviceSpec& spec,
                                              void* stream) {
  const int32_t width = spec.architecture < 90 ? 0 : cuda::residual_width(steps);
  if (width == 0) return nullptr;
  Storage residual(&device, static_cast<size_t>(width) * sizeof(float));
  cuda::StepCompiler compiler(steps, spec, static_cast<float*>(residual.data()));
  if (!compiler.compile()) return nullptr;
  Storage scratch(&device, std::max<size_t>(compiler.scratch_bytes_, 1));
  return std::make_unique<cuda::RecordedSteps>(compiler.launches_, std::move(residual), std::move(scratch), device,
                                               stream);
}

}  // namespace quamba2
