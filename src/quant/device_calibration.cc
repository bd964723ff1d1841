// SPDX-License-Identifier: Apache-2.0
#include "quant/device_calibration.h"

#include <algorithm>

#include "base/check.h"
#include "graph/part.h"
#include "quamba2/error.h"
#include "quant/observers.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

// Of a window in one call, as on the host: stored states are rounded at the same tokens.
constexpr int64_t kPiece = 512, kStatePiece = 64;
constexpr int64_t kTokens = 4096;  // of a call

int64_t numbers_of(const State& state) {
  int64_t n = 1;
  for (int32_t d : state.shape) n *= d;
  return n;
}

// Rows of an edge as packed floats where kernels read them: the edge itself, or a converted copy.
class FloatRows {
 public:
  explicit FloatRows(const Backend& backend) : backend_(backend), stream_(backend.stream()) {}

  const float* of(const Operand& values) {
    const TensorView& v = values.values;
    if (v.dtype == DType::kF32 && v.stride[0] == v.dim[1]) return static_cast<const float*>(v.data);
    grow(&copy_, static_cast<size_t>(v.dim[0]) * static_cast<size_t>(v.dim[1]) * sizeof(float));
    ConvertArgs args;
    args.x = args.out = values;
    // Scales that are constants belong to the graph, and each plan has its own copy of them.
    if (values.format.levels > 0 && !values.format.dynamic) args.x.scales[0].data = scales_of(values);
    args.out.format = {};
    args.out.scales[0] = {};
    args.out.values.data = copy_.data();
    args.out.values.dtype = DType::kF32;
    args.out.values.stride[0] = v.dim[1];
    run(args);
    return static_cast<const float*>(copy_.data());
  }

 private:
  void grow(Storage* storage, size_t bytes) const {
    if (storage->size() < bytes) *storage = Storage(backend_.device(), bytes);
  }
  void* scales_of(const Operand& values) {
    const size_t bytes = static_cast<size_t>(values.scales[0].dim[0]) * sizeof(float);
    grow(&scales_, bytes);
    backend_.device()->upload(scales_.data(), values.scales[0].data, bytes);
    return scales_.data();
  }
  void run(const ConvertArgs& args) {
    const KernelRows<ConvertArgs> rows = backend_.table().convert;
    for (int32_t i = 0; i < rows.count; ++i) {
      const Kernel<ConvertArgs>& row = rows.rows[i];
      if (row.supports(args).refusal) continue;
      if (row.scratch_bytes) grow(&scratch_, row.scratch_bytes(args, stream_.threads));
      stream_.scratch = static_cast<char*>(scratch_.data());
      return row.run(args, stream_);
    }
    QUAMBA2_CHECK(false, "the device does not convert this format");
  }

  const Backend& backend_;
  Stream stream_;
  Storage copy_, scales_, scratch_;
};

// Largest magnitudes of edges and states, kept on the device.
class DeviceRanges {
 public:
  DeviceRanges(const Backend& backend, const Graph& part, const Wanted& wanted)
      : backend_(backend), kernels_(*backend.rounding()), part_(part) {
    const auto watch = [&](EdgeId e) { edges_[e] = room(part.edges[static_cast<size_t>(e)].columns); };
    for (EdgeId e : wanted.edges) watch(e);
    for (const auto& [e, p] : wanted.percentiles) watch(e);
    for (int32_t s : wanted.states) states_[s] = room(numbers_of(part.states[static_cast<size_t>(s)]));
  }

  void see(EdgeId edge, const Operand& values) {
    const auto at = edges_.find(edge);
    if (at != edges_.end()) widen(values.values, values.values.dim[1], at->second);
  }
  // Of all slots: a shorter window has left what was seen already, and slots without a window have zeros.
  void see_states(const Plan& plan) {
    for (auto& [s, range] : states_)
      widen(plan.states[static_cast<size_t>(s)].values, numbers_of(part_.states[static_cast<size_t>(s)]), range);
  }

  Ranges finish() const {
    Ranges out;
    for (const auto& [e, range] : edges_) {
      out.edges[e] = taken(range);
      check_finite(out.edges[e], part_.edges[static_cast<size_t>(e)].name);
    }
    for (const auto& [s, range] : states_) {
      out.states[s] = taken(range);
      check_finite(out.states[s], part_.states[static_cast<size_t>(s)].name);
    }
    return out;
  }

 private:
  Storage room(int64_t numbers) const {
    return Storage(backend_.device(), static_cast<size_t>(numbers) * sizeof(float));
  }
  void widen(const TensorView& v, int64_t columns, const Storage& range) const {
    QUAMBA2_CHECK(v.dtype == DType::kF32, "ranges are measured before anything is encoded");
    kernels_.widen(static_cast<const float*>(v.data), v.dim[0], columns, v.stride[0], static_cast<float*>(range.data()),
                   backend_.stream());
  }
  std::vector<float> taken(const Storage& range) const {
    std::vector<float> out(range.size() / sizeof(float));
    backend_.device()->download(out.data(), range.data(), range.size());
    return out;
  }

  const Backend& backend_;
  const RoundingKernels& kernels_;
  const Graph& part_;
  std::map<EdgeId, Storage> edges_;
  std::map<int32_t, Storage> states_;
};

}  // namespace

DeviceCalibration::DeviceCalibration(std::shared_ptr<const Backend> backend,
                                     const std::vector<std::vector<int32_t>>& ids, std::function<void()> poll)
    : backend_(std::move(backend)), ids_(ids), poll_(std::move(poll)) {
  QUAMBA2_CHECK(backend_->device() && backend_->rounding(), "the device has no kernels for quantizing");
  int64_t tokens = 0;
  for (const auto& window : ids_) {
    begin_.push_back(tokens);
    tokens += static_cast<int64_t>(window.size());
  }
  begin_.push_back(tokens);
}

float* DeviceCalibration::row_of(size_t window, int64_t token) const {
  return static_cast<float*>(stream_.data()) + (begin_[window] + token) * width_;
}

void DeviceCalibration::set_rows(const Rows& rows, int64_t width) {
  width_ = width;
  const size_t bytes = static_cast<size_t>(begin_.back() * width) * sizeof(float);
  if (stream_.size() != bytes) stream_ = Storage(&device(), bytes);
  for (size_t w = 0; w < rows.size(); ++w)
    device().upload(row_of(w, 0), rows[w].data(), rows[w].size() * sizeof(float));
}

DeviceCalibration::Rows DeviceCalibration::rows(size_t windows) const {
  Rows out;
  for (size_t w = 0; w < std::min(windows, ids_.size()); ++w) {
    out.emplace_back(ids_[w].size() * static_cast<size_t>(width_));
    device().download(out.back().data(), row_of(w, 0), out.back().size() * sizeof(float));
  }
  return out;
}

// What windows [begin, end) have from token `at` on.
std::vector<DeviceCalibration::Piece> DeviceCalibration::pieces_of_call(size_t begin, size_t end, int64_t at,
                                                                        int64_t piece) const {
  std::vector<Piece> out;
  int64_t row = 0;
  for (size_t w = begin; w < end; ++w) {
    const auto tokens = static_cast<int64_t>(ids_[w].size());
    if (at >= tokens) continue;
    const int64_t n = std::min(piece, tokens - at);
    out.push_back({w, at, n, row, at + n == tokens});
    row += n;
  }
  return out;
}

void DeviceCalibration::run(const Graph& part, size_t windows, int64_t piece, int64_t tokens, const Tap& tap,
                            const Visit& after) const {
  windows = std::min(windows, ids_.size());
  const auto together = static_cast<int64_t>(std::min<size_t>(windows, static_cast<size_t>(tokens / piece)));
  Executor executor(part, backend_,
                    {.max_tokens = static_cast<int32_t>(together * piece),
                     .max_selected = 1,
                     .max_sequences = static_cast<int32_t>(together)});
  if (tap) executor.set_tap(tap, true);
  const size_t row_bytes = static_cast<size_t>(width_) * sizeof(float);
  for (size_t begin = 0; begin < windows; begin += static_cast<size_t>(together)) {
    const size_t end = std::min(windows, begin + static_cast<size_t>(together));
    for (int32_t slot = 0; slot < together; ++slot) executor.reset_state(slot);
    for (int64_t at = 0;; at += piece) {
      const std::vector<Piece> pieces = pieces_of_call(begin, end, at, piece);
      if (pieces.empty()) break;
      if (poll_) poll_();
      std::vector<Segment> segments;
      for (const Piece& p : pieces) {
        segments.push_back(
            {static_cast<int32_t>(p.row), static_cast<int32_t>(p.count), static_cast<int32_t>(p.window - begin)});
        device().copy(executor.part_input() + p.row * width_, row_of(p.window, p.first),
                      static_cast<size_t>(p.count) * row_bytes);
      }
      executor.run_part_in_place(segments);
      if (after) after(executor, pieces);
    }
  }
  device().synchronize();
}

// In place: what a call has read of the stream, no later one reads.
void DeviceCalibration::advance(const Graph& part) {
  const size_t row_bytes = static_cast<size_t>(width_) * sizeof(float);
  run(part, ids_.size(), kPiece, kTokens, {}, [&](Executor& executor, const std::vector<Piece>& pieces) {
    const Operand out = executor.output_in_place();
    QUAMBA2_CHECK(out.values.dtype == DType::kF32 && out.values.stride[0] == width_, "the output of a part is f32");
    for (const Piece& p : pieces) {
      device().copy(row_of(p.window, p.first), static_cast<const float*>(out.values.data) + p.row * width_,
                    static_cast<size_t>(p.count) * row_bytes);
    }
  });
  const Storage flag(&device(), sizeof(int32_t));
  backend_->rounding()->find_not_finite(static_cast<const float*>(stream_.data()), begin_.back() * width_,
                                        static_cast<int32_t*>(flag.data()), backend_->stream());
  int32_t found = 0;
  device().download(&found, flag.data(), sizeof found);
  if (found) not_finite(part.edges[static_cast<size_t>(part.logits)].name);
}

Ranges DeviceCalibration::observe(const Graph& part, const Wanted& wanted) const {
  DeviceRanges ranges(*backend_, part, wanted);
  const Tap tap = [&](const Edge& edge, const Operand& values) { ranges.see(part.find_edge(edge.name), values); };
  const auto after = [&](Executor& executor, const std::vector<Piece>&) { ranges.see_states(executor.plan()); };
  run(part, ids_.size(), wanted.states.empty() ? kPiece : kStatePiece, kTokens, tap, after);
  Ranges out = ranges.finish();
  if (!wanted.percentiles.empty()) out.percentiles = percentiles(part, wanted);
  return out;
}

// All numbers of a window, sorted by the host: window after window.
std::map<EdgeId, float> DeviceCalibration::percentiles(const Graph& part, const Wanted& wanted) const {
  const Wanted these = {{}, {}, wanted.percentiles};
  RangeObserver observer(part, these);
  std::vector<float> rows;
  const Tap tap = [&](const Edge& edge, const Operand& values) {
    const EdgeId id = part.find_edge(edge.name);
    if (!observer.wants(id)) return;
    const TensorView& v = values.values;
    QUAMBA2_CHECK(v.dtype == DType::kF32 && v.stride[0] == v.dim[1], "percentiles are of whole edges");
    rows.resize(static_cast<size_t>(v.dim[0]) * static_cast<size_t>(v.dim[1]));
    device().download(rows.data(), v.data, rows.size() * sizeof(float));
    observer.see(id, rows.data(), v.dim[0]);
  };
  run(part, ids_.size(), kPiece, kPiece, tap, [&](Executor&, const std::vector<Piece>& pieces) {
    if (pieces[0].last) observer.end_window();
  });
  return observer.finish().percentiles;
}

DeviceHessian DeviceCalibration::hessian(const Graph& part, EdgeId edge) const {
  DeviceHessian out;
  out.size = part.edges[static_cast<size_t>(edge)].columns;
  out.sum = Storage(&device(), static_cast<size_t>(out.size * out.size) * sizeof(float));
  const auto add = [&](const float* rows, int64_t count) {
    backend_->rounding()->add_gram(rows, count, out.size, static_cast<float*>(out.sum.data()), backend_->stream());
    device().check_launch("a sum over inputs");
  };
  if (edge == part.input) {
    for (int64_t at = 0; at < begin_.back(); at += kTokens)
      add(static_cast<const float*>(stream_.data()) + at * width_, std::min(kTokens, begin_.back() - at));
    return out;
  }
  FloatRows floats(*backend_);
  run(up_to(part, edge), ids_.size(), kPiece, kTokens, {}, [&](Executor& executor, const std::vector<Piece>&) {
    const Operand values = executor.output_in_place();
    add(floats.of(values), values.values.dim[0]);
  });
  return out;
}

std::vector<float> DeviceCalibration::outputs(const Graph& part, size_t windows) const {
  const int64_t columns = part.edges[static_cast<size_t>(part.logits)].columns;
  windows = std::min(windows, ids_.size());
  std::vector<float> out(static_cast<size_t>(begin_[windows] * columns));
  run(part, windows, kPiece, kTokens, {}, [&](Executor& executor, const std::vector<Piece>& pieces) {
    const Operand values = executor.output_in_place();
    QUAMBA2_CHECK(values.values.dtype == DType::kF32 && values.values.stride[0] == columns, "the output is f32");
    for (const Piece& p : pieces) {
      device().download(out.data() + (begin_[p.window] + p.first) * columns,
                        static_cast<const float*>(values.values.data) + p.row * columns,
                        static_cast<size_t>(p.count * columns) * sizeof(float));
    }
  });
  return out;
}

}  // namespace quamba2
