// SPDX-License-Identifier: Apache-2.0
#include "quant/calibration.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/random.h"
#include "graph/part.h"
#include "quamba2/error.h"
#include "quant/for_rows.h"
#include "quant/observers.h"
#include "quant/roles.h"
#include "tensor/hadamard.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

// States are looked at after every piece of this many tokens: often enough to see their peaks, seldom enough to be cheap.
constexpr int64_t kStatePiece = 64;
constexpr int64_t kPiece = 512;
constexpr int32_t kProbeTokens = 48;
constexpr size_t kErrorWindows = 8;
constexpr size_t kPeakWindows = 2;

const float* rows_of(const Operand& values, std::vector<float>* buffer) {
  const TensorView& v = values.values;
  if (v.dtype == DType::kF32 && v.stride[0] == v.dim[1]) return static_cast<const float*>(v.data);
  const std::vector<double> wide = decode(values);
  buffer->assign(wide.begin(), wide.end());
  return buffer->data();
}

// What an executor computed in its last call: [count, columns].
const float* output_of(const Executor& executor) {
  const Operand& out = executor.logits_operand();
  QUAMBA2_CHECK(out.values.dtype == DType::kF32, "the output of a part is f32");
  return static_cast<const float*>(out.values.data);
}

// Edges that a linear or scan reads, by a name for people.
std::map<EdgeId, std::string> readers_of(const Graph& part) {
  std::map<EdgeId, std::string> out;
  for (const Node& node : part.nodes) {
    if (node.op == Op::kLinear) out.emplace(node.inputs[0], edge_role(node.name));
    if (node.op != Op::kSsdScan && node.op != Op::kSelectiveScan) continue;
    for (EdgeId edge : node.inputs) {
      const std::string role = edge_role(part.edges[static_cast<size_t>(edge)].name);
      if (role == "x" || role == "b" || role == "c") out.emplace(edge, "scan " + role);
    }
  }
  return out;
}

void turn_rows(std::vector<float>* rows, int64_t width, bool back) {
  for (size_t at = 0; at < rows->size(); at += static_cast<size_t>(width))
    hadamard_transform(rows->data() + at, width, back);
}

}  // namespace

Calibration::Calibration(std::shared_ptr<const Backend> backend, std::vector<std::vector<int32_t>> windows,
                         std::shared_ptr<const Backend> device)
    : backend_(std::move(backend)), ids_(std::move(windows)) {
  QUAMBA2_CHECK(!backend_->device(), "passes are checked in this process's memory");
  if (!device) return;
  if (!device->device() || !device->rounding()) {
    throw Error(ErrorCode::kUsage, "device cannot quantize", device->description(), "it has no kernels for it",
                "use --device cpu or cuda:0");
  }
  device_ = std::make_unique<DeviceCalibration>(std::move(device), ids_, [this] {
    if (poll_) poll_();
  });
}

int64_t Calibration::tokens() const {
  int64_t n = 0;
  for (const auto& w : ids_) n += static_cast<int64_t>(w.size());
  return n;
}

void Calibration::require_windows() const {
  if (!ids_.empty()) return;
  throw Error(ErrorCode::kUsage, "no calibration text", "", "ranges and inputs are measured on text",
              "pass --calib FILE");
}

void Calibration::start(const Weight& table) {
  const Operand operand = table.operand();
  width_ = table.values.dim(1);
  rotated_ = false;
  stream_.assign(ids_.size(), {});
  for_rows(backend_->stream(), static_cast<int64_t>(ids_.size()), [&](int64_t w) {
    const std::vector<int32_t>& ids = ids_[static_cast<size_t>(w)];
    std::vector<float>& rows = stream_[static_cast<size_t>(w)];
    rows.reserve(ids.size() * static_cast<size_t>(width_));
    for (int32_t id : ids) {
      for (int64_t k = 0; k < width_; ++k) rows.push_back(static_cast<float>(decode_element(operand, id, k)));
    }
  });
  table.values.release_pages();
  give_to_device();
}

void Calibration::rotate() {
  QUAMBA2_CHECK(!rotated_, "the stream is rotated already");
  rotated_ = true;
  if (device_) stream_ = device_->rows(ids_.size());
  for_rows(backend_->stream(), static_cast<int64_t>(stream_.size()),
           [&](int64_t w) { turn_rows(&stream_[static_cast<size_t>(w)], width_, false); });
  give_to_device();
}

void Calibration::give_to_device() {
  if (!device_) return;
  device_->set_rows(stream_, width_);
  stream_ = {};
}

void Calibration::run(const Graph& part, int64_t piece, const Tap& tap, const Visit& after) const {
  run(part, stream_, piece, tap, after);
}

void Calibration::run(const Graph& part, const Rows& from, int64_t piece, const Tap& tap, const Visit& after) const {
  const auto most = static_cast<int32_t>(piece);
  Executor executor(part, device_ ? device_->shared_backend() : backend_,
                    {.max_tokens = most, .max_selected = 1, .max_sequences = 1});
  if (tap) executor.set_tap(tap);
  for (size_t w = 0; w < from.size(); ++w) {
    executor.reset_state(0);
    if (poll_) poll_();
    const auto tokens = static_cast<int64_t>(ids_[w].size());
    for (int64_t at = 0; at < tokens; at += piece) {
      const int64_t n = std::min(piece, tokens - at);
      const Segment segment{0, static_cast<int32_t>(n), 0};
      executor.run_part({from[w].data() + at * width_, static_cast<size_t>(n * width_)}, {&segment, 1});
      if (after) after(executor, w, at, n);
    }
  }
}

Calibration::Rows Calibration::first_windows(size_t count) const {
  if (device_) return device_->rows(count);
  return {stream_.begin(), stream_.begin() + static_cast<ptrdiff_t>(std::min(count, stream_.size()))};
}

void Calibration::advance(const Graph& part) {
  if (device_) return device_->advance(part);
  std::vector<std::vector<float>> next(stream_.size());
  run(part, kPiece, {}, [&](Executor& executor, size_t w, int64_t, int64_t count) {
    const float* rows = output_of(executor);
    next[w].insert(next[w].end(), rows, rows + count * width_);
  });
  const Edge& output = part.edges[static_cast<size_t>(part.logits)];
  for (const auto& rows : next) {
    if (std::all_of(rows.begin(), rows.end(), [](float v) { return std::isfinite(v); })) continue;
    not_finite(output.name);
  }
  stream_ = std::move(next);
}

Ranges Calibration::observe(const Graph& part, const Wanted& wanted) const {
  require_windows();
  if (device_) return device_->observe(part, wanted);
  RangeObserver observer(part, wanted);
  const Tap tap = [&](const Edge& edge, const Operand& values) {
    std::vector<float> buffer;
    const EdgeId id = part.find_edge(edge.name);
    if (!observer.wants(id)) return;
    observer.see(id, rows_of(values, &buffer), values.values.dim[0]);
  };
  const Visit after = [&](Executor& executor, size_t w, int64_t first, int64_t count) {
    for (int32_t s : wanted.states) observer.see_state(s, executor.plan().states[static_cast<size_t>(s)]);
    if (first + count == static_cast<int64_t>(ids_[w].size())) observer.end_window();
  };
  run(part, wanted.states.empty() ? kPiece : kStatePiece, tap, after);
  return observer.finish();
}

Hessian Calibration::hessian(const Graph& part, EdgeId edge) const {
  require_windows();
  QUAMBA2_CHECK(!device_, "the device has the stream");
  Hessian out(part.edges[static_cast<size_t>(edge)].columns);
  Dense dense(*backend_);
  if (edge == part.input) {
    for (const auto& rows : stream_) out.add(&dense, rows.data(), static_cast<int64_t>(rows.size()) / width_);
    return out;
  }
  std::vector<float> buffer;
  run(up_to(part, edge), kPiece, {}, [&](Executor& executor, size_t, int64_t, int64_t count) {
    Operand values = executor.logits_operand();
    values.values.dim[0] = static_cast<int32_t>(count);
    out.add(&dense, rows_of(values, &buffer), count);
  });
  return out;
}

DeviceHessian Calibration::device_hessian(const Graph& part, EdgeId edge) const {
  require_windows();
  QUAMBA2_CHECK(device_ != nullptr, "there is no device");
  return device_->hessian(part, edge);
}

namespace {

// Of outputs of all windows, one behind the other; the same sums as below.
double error_of(const std::vector<float>& a, const std::vector<float>& b, const std::vector<std::vector<float>>& inputs,
                bool head) {
  double error = 0, size = 0;
  size_t seen = 0;
  const auto add = [&](double before) {
    const double wanted = a[seen], got = b[seen];
    error += (got - wanted) * (got - wanted);
    size += (wanted - before) * (wanted - before);
    ++seen;
  };
  if (head) {
    while (seen < a.size()) add(0);
  } else {
    for (const std::vector<float>& window : inputs) {
      for (float v : window) add(v);
    }
  }
  return std::sqrt(error / std::max(size, 1e-300));
}

}  // namespace

double Calibration::relative_error(const Graph& a, const Graph& b, bool head) const {
  const Rows windows = first_windows(kErrorWindows);
  if (device_) return error_of(device_->outputs(a, kErrorWindows), device_->outputs(b, kErrorWindows), windows, head);
  std::vector<float> outputs;
  run(a, windows, kPiece, {}, [&](Executor& executor, size_t, int64_t, int64_t count) {
    const float* rows = output_of(executor);
    outputs.insert(outputs.end(), rows, rows + count * executor.table_rows());
  });
  double error = 0, size = 0;
  size_t seen = 0;
  run(b, windows, kPiece, {}, [&](Executor& executor, size_t w, int64_t first, int64_t count) {
    const float* rows = output_of(executor);
    const float* input = head ? nullptr : stream_[w].data() + first * width_;
    for (int64_t i = 0; i < count * executor.table_rows(); ++i, ++seen) {
      const double before = input ? static_cast<double>(input[i]) : 0.0, wanted = outputs[seen];
      error += (rows[i] - wanted) * (rows[i] - wanted);
      size += (wanted - before) * (wanted - before);
    }
  });
  return std::sqrt(error / std::max(size, 1e-300));
}

std::map<std::string, double> Calibration::peaks(const Graph& part, bool rotated) const {
  if (ids_.empty()) return {};
  const std::map<EdgeId, std::string> readers = readers_of(part);
  struct Seen {
    double largest = 0, squares = 0, count = 0;
  };
  std::map<EdgeId, Seen> seen;
  const auto see = [&](EdgeId edge, const float* rows, int64_t numbers) {
    Seen& s = seen[edge];
    for (int64_t i = 0; i < numbers; ++i) {
      s.largest = std::max<double>(s.largest, std::fabs(rows[i]));
      s.squares += static_cast<double>(rows[i]) * rows[i];
    }
    s.count += static_cast<double>(numbers);
  };
  const Tap tap = [&](const Edge& edge, const Operand& values) {
    const EdgeId id = part.find_edge(edge.name);
    if (!readers.count(id)) return;
    std::vector<float> buffer;
    see(id, rows_of(values, &buffer), static_cast<int64_t>(values.values.dim[0]) * edge.columns);
  };
  Rows windows = first_windows(kPeakWindows);
  for (auto& rows : windows) {
    if (rotated != rotated_) turn_rows(&rows, width_, rotated_);
  }
  run(part, windows, kPiece, tap, {});
  std::map<std::string, double> out;
  for (const auto& [edge, s] : seen) {
    if (s.squares > 0) out[readers.at(edge)] = s.largest / std::sqrt(s.squares / s.count);
  }
  return out;
}

std::vector<float> Calibration::probe(const Graph& part, bool rotated, bool head) const {
  const int64_t width = part.edges[static_cast<size_t>(part.input)].columns;
  std::vector<float> input(static_cast<size_t>(kProbeTokens * width));
  Random random(1);
  for (float& v : input) v = static_cast<float>(random.normal());
  if (rotated) turn_rows(&input, width, false);
  Executor executor(part, backend_, {.max_tokens = kProbeTokens, .max_selected = 1, .max_sequences = 1});
  const Segment segment{0, kProbeTokens, 0};
  executor.run_part(input, {&segment, 1});
  const float* rows = output_of(executor);
  std::vector<float> out(rows, rows + static_cast<int64_t>(kProbeTokens) * executor.table_rows());
  if (rotated && !head) turn_rows(&out, width, true);
  return out;
}

}  // namespace quamba2
