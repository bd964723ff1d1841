// SPDX-License-Identifier: Apache-2.0
// Calibration text on a device: the stream of all tokens stays in its memory, windows are read many at a time, and what
// passes ask for is reduced there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/executor.h"
#include "graph/graph.h"
#include "quant/ranges.h"

namespace quamba2 {

// Sum of x x^T over inputs x [K] in the device's memory: [K, K] on and below the diagonal.
struct DeviceHessian {
  int64_t size = 0;
  Storage sum;
};

class DeviceCalibration {
 public:
  using Rows = std::vector<std::vector<float>>;  // a window: [T, D]
  // `ids` outlive this. `poll` is called for every call of a part.
  DeviceCalibration(std::shared_ptr<const Backend> backend, const std::vector<std::vector<int32_t>>& ids,
                    std::function<void()> poll);

  const Backend& backend() const { return *backend_; }
  std::shared_ptr<const Backend> shared_backend() const { return backend_; }
  Device& device() const { return *backend_->device(); }

  void set_rows(const Rows& rows, int64_t width);
  Rows rows(size_t windows) const;  // of the first windows

  // As the methods of Calibration.
  void advance(const Graph& part);
  Ranges observe(const Graph& part, const Wanted& wanted) const;
  DeviceHessian hessian(const Graph& part, EdgeId edge) const;
  // Outputs of the first windows, one behind the other.
  std::vector<float> outputs(const Graph& part, size_t windows) const;

 private:
  // A piece of a window in a call: its tokens [first, first + count), and the row of the call where they begin.
  struct Piece {
    size_t window;
    int64_t first, count, row;
    bool last;
  };
  using Visit = std::function<void(Executor& executor, const std::vector<Piece>& pieces)>;
  // Reads windows through a part, `piece` tokens of each a call and `tokens` in all, or less.
  void run(const Graph& part, size_t windows, int64_t piece, int64_t tokens, const Tap& tap, const Visit& after) const;
  std::map<EdgeId, float> percentiles(const Graph& part, const Wanted& wanted) const;
  std::vector<Piece> pieces_of_call(size_t begin, size_t end, int64_t at, int64_t piece) const;
  float* row_of(size_t window, int64_t token) const;

  std::shared_ptr<const Backend> backend_;
  const std::vector<std::vector<int32_t>>& ids_;
  std::function<void()> poll_;
  std::vector<int64_t> begin_;  // of windows, in tokens
  Storage stream_;
  int64_t width_ = 0;
};

}  // namespace quamba2
