// SPDX-License-Identifier: Apache-2.0
#include "eval/windows.h"

#include <algorithm>

#include "base/log.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

// Rows of logits that were computed together, and what to predict from them.
struct Block {
  std::vector<const float*> logits;  // one an executor
  std::vector<int32_t> rows;
  int64_t window = 0, first = 0, columns = 0;
  const int32_t* targets = nullptr;
  const std::function<void(const Prediction&, int)>* visit = nullptr;
  int threads = 1;
};

void visit_share(void* context, int thread) {
  const Block& block = *static_cast<const Block*>(context);
  std::vector<const float*> row(block.logits.size());
  for (size_t r = static_cast<size_t>(thread); r < block.rows.size(); r += static_cast<size_t>(block.threads)) {
    for (size_t e = 0; e < row.size(); ++e) row[e] = block.logits[e] + static_cast<int64_t>(r) * block.columns;
    (*block.visit)({row, block.targets[r], block.window, block.first + static_cast<int64_t>(r)}, thread);
  }
}

// Predictions of one call: positions [at, at + length) of a window whose last position predicts nothing.
void predict(std::span<Executor* const> executors, std::span<const int32_t> window, int64_t at, int64_t length,
             Block* block) {
  const int64_t last = std::min<int64_t>(at + length, static_cast<int64_t>(window.size()) - 1);
  int32_t most = executors[0]->limits().max_selected;
  for (Executor* e : executors) most = std::min(most, e->limits().max_selected);
  for (int64_t first = at; first < last; first += most) {
    block->rows.clear();
    for (int64_t p = first; p < std::min(last, first + most); ++p) block->rows.push_back(static_cast<int32_t>(p - at));
    block->logits.clear();
    for (Executor* e : executors) block->logits.push_back(e->logits(block->rows));
    block->first = first;
    block->targets = window.data() + first + 1;
    const Stream stream = executors[0]->backend().stream();
    block->threads = stream.threads;
    stream.parallel(stream.pool, visit_share, block);
  }
}

}  // namespace

int64_t window_count(size_t tokens, int64_t length, int64_t windows) {
  const int64_t available = length >= 2 ? static_cast<int64_t>(tokens) / length : 0;
  return windows > 0 ? std::min(windows, available) : available;
}

int64_t prediction_count(size_t tokens, int64_t length, int64_t windows) {
  return window_count(tokens, length, windows) * std::max<int64_t>(length - 1, 0);
}

void for_each_prediction(std::span<Executor* const> executors, std::span<const int32_t> ids, int64_t length,
                         int64_t windows, const std::function<void(const Prediction&, int)>& visit) {
  const int64_t count = window_count(ids.size(), length, windows);
  if (count == 0) {
    throw Error(ErrorCode::kUsage, "text too short", "",
                std::to_string(ids.size()) + " tokens are no full window of " + std::to_string(length),
                "give a longer text or a smaller --window (at least 2)");
  }
  int32_t step = executors[0]->limits().max_tokens;
  for (Executor* e : executors) step = std::min(step, e->limits().max_tokens);
  Block block;
  block.visit = &visit;
  block.columns = executors[0]->table_rows();
  ProgressScope progress("evaluating", count * length);
  for (int64_t w = 0; w < count; ++w) {
    const std::span<const int32_t> window = ids.subspan(static_cast<size_t>(w * length), static_cast<size_t>(length));
    for (Executor* e : executors) e->reset_state(0);
    block.window = w;
    for (int64_t at = 0; at < length; at += step) {
      const int64_t n = std::min<int64_t>(step, length - at);
      const Segment segment{0, static_cast<int32_t>(n), 0};
      for (Executor* e : executors)
        e->run(window.subspan(static_cast<size_t>(at), static_cast<size_t>(n)), {&segment, 1});
      predict(executors, window, at, n, &block);
      progress.advance(n);
    }
  }
}

}  // namespace quamba2
