// SPDX-License-Identifier: Apache-2.0
// Calibration as a service: holds the residual stream of all calibration tokens in front of one part of the model, runs
// parts over it, and collects what passes ask for. So a model is never in memory as a whole.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/executor.h"
#include "graph/graph.h"
#include "quant/device_calibration.h"
#include "quant/gptq.h"
#include "quant/ranges.h"

namespace quamba2 {

class Calibration {
 public:
  // `windows` are token sequences, each read from a zero state. They may be empty where no pass asks for them. `backend` works
  // in this process's memory. With a `device` the text is read there, and weights are rounded there; what checks that passes
  // keep the function stays on `backend`. Throws Error{kUsage} for a device that has no kernels for quantizing.
  explicit Calibration(std::shared_ptr<const Backend> backend, std::vector<std::vector<int32_t>> windows = {},
                       std::shared_ptr<const Backend> device = nullptr);
  Calibration(const Calibration&) = delete;
  Calibration& operator=(const Calibration&) = delete;

  // The stream behind the embedding.
  void start(const Weight& table);
  // The stream becomes what a rotated model has in its place.
  void rotate();
  bool rotated() const { return rotated_; }
  // The stream becomes the output of this part. Throws Error{kRuntime} naming the part where it is not finite.
  void advance(const Graph& part);

  // All of these read the windows through `part`, from the current stream. Throws Error{kUsage} without windows,
  // Error{kRuntime} naming the edge or state where a number is not finite.
  Ranges observe(const Graph& part, const Wanted& wanted) const;
  // Of the inputs on an edge, as they are stored there: without a device, and with one.
  Hessian hessian(const Graph& part, EdgeId edge) const;
  DeviceHessian device_hessian(const Graph& part, EdgeId edge) const;
  // |b - a| over |a - input| of the outputs of two forms of a part on the first windows: what quantization costs it. For the
  // head, whose output is no stream, over |a|.
  double relative_error(const Graph& a, const Graph& b, bool head) const;

  // How far activations stick out: the largest magnitude over the root mean square of what each linear and scan of the
  // part reads, on the first windows. By the reader's name ("in_proj", "scan x"). Empty without windows. `rotated`: the part reads a rotated stream.
  std::map<std::string, double> peaks(const Graph& part, bool rotated) const;

  // Output for a short run of random inputs (of the original model, in its own basis): what a pass that keeps the function
  // may not move.
  std::vector<float> probe(const Graph& part, bool rotated, bool head) const;

  // Called for every window that is read: may throw to end the job.
  void set_poll(std::function<void()> poll) { poll_ = std::move(poll); }

  bool empty() const { return ids_.empty(); }
  int64_t tokens() const;
  const Backend& backend() const { return *backend_; }
  // Null without a device.
  const DeviceCalibration* device() const { return device_.get(); }

 private:
  using Visit = std::function<void(Executor& executor, size_t window, int64_t first, int64_t count)>;
  using Rows = std::vector<std::vector<float>>;  // a window: [T, D]
  // Runs the part over windows, `piece` tokens a call: all of the stream, or what `from` holds.
  void run(const Graph& part, int64_t piece, const Tap& tap, const Visit& after) const;
  void run(const Graph& part, const Rows& from, int64_t piece, const Tap& tap, const Visit& after) const;
  Rows first_windows(size_t count) const;
  void require_windows() const;
  void give_to_device();

  std::shared_ptr<const Backend> backend_;
  std::vector<std::vector<int32_t>> ids_;
  Rows stream_;
  int64_t width_ = 0;
  bool rotated_ = false;
  std::function<void()> poll_;
  std::unique_ptr<DeviceCalibration> device_;  // then the stream is there
};

}  // namespace quamba2
