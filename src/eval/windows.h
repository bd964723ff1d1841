// SPDX-License-Identifier: Apache-2.0
// Runs windows of tokens through executors and hands out the logits of every prediction.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "backend/executor.h"

namespace quamba2 {

// One prediction: the logits of each executor for the position before `target`.
struct Prediction {
  std::span<const float* const> logits;  // one row an executor
  int32_t target = 0;
  int64_t window = 0, position = 0;
};

// How many windows for_each_prediction takes, and a place for every prediction in them: 0 <= slot_of < prediction_count.
int64_t window_count(size_t tokens, int64_t length, int64_t windows);
int64_t prediction_count(size_t tokens, int64_t length, int64_t windows);
inline size_t slot_of(const Prediction& p, int64_t length) {
  return static_cast<size_t>(p.window * (length - 1) + p.position);
}

// Full windows of `length` tokens; every one starts from a zero state, the first token is not predicted. `visit` is
// called from several threads at once, each prediction once; `thread` counts from 0. `windows` of 0 means all.
// Throws Error{kUsage} where the text is shorter than a window.
void for_each_prediction(std::span<Executor* const> executors, std::span<const int32_t> ids, int64_t length,
                         int64_t windows, const std::function<void(const Prediction&, int thread)>& visit);

}  // namespace quamba2
