// SPDX-License-Identifier: Apache-2.0
#include "eval/score.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/log.h"
#include "quamba2/error.h"
#include "tensor/distribution.h"

namespace quamba2 {
namespace {

using SavedState = std::shared_ptr<const std::vector<std::byte>>;

constexpr size_t kLookAhead = 64;  // waiting stretches that are tried for a place in a call

struct Waiting {
  int32_t stretch = kNoStretch;
  SavedState state;  // none: from zero
};

struct Active {
  int32_t stretch = kNoStretch, slot = 0;
  size_t at = 0, length = 0;  // tokens read before this call, and in it; 0: waits for the next call
};

// A row of the last call, and what is asked of it.
struct Row {
  int32_t row = 0;
  std::vector<const Ask*> asks;
};

class Reading {
 public:
  Reading(Executor& executor, const ReadingTree& tree, const std::string& stage)
      : executor_(executor), tree_(tree), progress_(stage, tree.tokens()) {
    for (int32_t length : tree.lengths()) first_.push_back(first_.back() + static_cast<size_t>(length));
    log_p_.resize(first_.back());
    top_.resize(first_.back());
    for (int32_t slot = executor.limits().max_sequences; slot-- > 0;) free_slots_.push_back(slot);
    for (auto root = tree.roots().rbegin(); root != tree.roots().rend(); ++root) waiting_.push_back({*root, {}});
  }

  std::vector<Score> run() {
    while (!active_.empty() || !waiting_.empty()) {
      compose();
      executor_.run(ids_, segments_);
      predict();
      finish();
      progress_.advance(static_cast<int64_t>(ids_.size()));
    }
    return totals();
  }

 private:
  const Stretch& stretch_of(int32_t index) const { return tree_.stretches()[static_cast<size_t>(index)]; }
  size_t limit() const { return static_cast<size_t>(executor_.limits().max_tokens); }

  // Pieces end at multiples of the limit from the start of their stretch, whatever else is in the call.
  bool take(Active* a) {
    const size_t piece = std::min(limit(), stretch_of(a->stretch).ids.size() - a->at);
    a->length = ids_.size() + piece <= limit() ? piece : 0;
    if (a->length == 0) return false;
    const auto begin = stretch_of(a->stretch).ids.begin() + static_cast<ptrdiff_t>(a->at);
    segments_.push_back({static_cast<int32_t>(ids_.size()), static_cast<int32_t>(piece), a->slot});
    ids_.insert(ids_.end(), begin, begin + static_cast<ptrdiff_t>(piece));
    return true;
  }

  // The next call: what was begun goes first, then what waits and fits, the youngest first, so that few states are kept.
  void compose() {
    ids_.clear();
    segments_.clear();
    for (Active& a : active_) take(&a);
    size_t tried = 0;
    for (size_t i = waiting_.size(); i-- > 0 && !free_slots_.empty() && tried < kLookAhead; ++tried) {
      Active a{waiting_[i].stretch, free_slots_.back()};
      if (!take(&a)) continue;
      if (waiting_[i].state)
        executor_.load_state(a.slot, *waiting_[i].state);
      else
        executor_.reset_state(a.slot);
      free_slots_.pop_back();
      active_.push_back(a);
      waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(i));
    }
  }

  // Rows of this call that something is asked of.
  void collect_rows() {
    rows_.clear();
    for (const Active& a : active_) {
      if (a.length == 0) continue;
      const size_t base = begin_of(a.slot);
      std::vector<std::vector<const Ask*>> asks(a.length);
      for (const Ask& ask : stretch_of(a.stretch).asks) {
        const auto row = static_cast<size_t>(ask.row);
        if (row >= a.at && row < a.at + a.length) asks[row - a.at].push_back(&ask);
      }
      for (size_t r = 0; r < a.length; ++r) {
        if (!asks[r].empty()) rows_.push_back({static_cast<int32_t>(base + r), std::move(asks[r])});
      }
    }
  }

  size_t begin_of(int32_t slot) const {
    for (const Segment& s : segments_) {
      if (s.slot == slot) return static_cast<size_t>(s.begin);
    }
    return 0;
  }

  void predict() {
    collect_rows();
    const auto most = static_cast<size_t>(executor_.limits().max_selected);
    for (block_ = 0; block_ < rows_.size(); block_ += most) {
      std::vector<int32_t> selected;
      for (size_t i = block_; i < std::min(rows_.size(), block_ + most); ++i) selected.push_back(rows_[i].row);
      selected_ = selected.size();
      logits_ = executor_.logits(selected);
      const Stream stream = executor_.backend().stream();
      threads_ = static_cast<size_t>(stream.threads);
      stream.parallel(stream.pool, answer_share, this);
    }
  }

  static void answer_share(void* context, int thread) {
    Reading& self = *static_cast<Reading*>(context);
    const int64_t columns = self.executor_.table_rows();
    for (size_t r = static_cast<size_t>(thread); r < self.selected_; r += self.threads_) {
      const float* logits = self.logits_ + static_cast<int64_t>(r) * columns;
      const double lse = log_sum_exp(logits, columns);
      const int64_t top = argmax(logits, columns);
      for (const Ask* ask : self.rows_[self.block_ + r].asks) {
        const size_t at = self.first_[static_cast<size_t>(ask->request)] + static_cast<size_t>(ask->position);
        self.log_p_[at] = logits[ask->target] - lse;
        self.top_[at] = top == ask->target;
      }
    }
  }

  // Stretches that were read to their end hand their state to their children; the first goes on in the same slot.
  void finish() {
    std::vector<Active> still;
    for (Active& a : active_) {
      a.at += a.length;
      const Stretch& s = stretch_of(a.stretch);
      if (a.at < s.ids.size()) {
        still.push_back(a);
        continue;
      }
      if (s.children.empty()) {
        free_slots_.push_back(a.slot);
        continue;
      }
      if (s.children.size() > 1) {
        const auto state = std::make_shared<const std::vector<std::byte>>(executor_.save_state(a.slot));
        for (size_t c = s.children.size(); c-- > 1;) waiting_.push_back({s.children[c], state});
      }
      still.push_back({s.children[0], a.slot});
    }
    active_ = std::move(still);
  }

  std::vector<Score> totals() const {
    std::vector<Score> out(tree_.lengths().size());
    for (size_t r = 0; r < out.size(); ++r) {
      out[r].greedy = true;
      for (size_t i = first_[r]; i < first_[r + 1]; ++i) {
        out[r].log_likelihood += log_p_[i];
        out[r].greedy = out[r].greedy && top_[i] != 0;
      }
      if (std::isfinite(out[r].log_likelihood)) continue;
      throw Error(ErrorCode::kRuntime, "logits are not finite", "", "the model gave NaN or infinity on this text",
                  "check the weights, or quantize again with more calibration text");
    }
    return out;
  }

  Executor& executor_;
  const ReadingTree& tree_;
  ProgressScope progress_;
  std::vector<size_t> first_ = {0};  // of each request's tokens in the next two
  std::vector<double> log_p_;
  std::vector<char> top_;
  std::vector<Waiting> waiting_;  // a stack: the last goes first
  std::vector<Active> active_;
  std::vector<int32_t> free_slots_, ids_;
  std::vector<Segment> segments_;
  std::vector<Row> rows_;
  const float* logits_ = nullptr;
  size_t block_ = 0, selected_ = 0, threads_ = 1;
};

}  // namespace

std::vector<Score> score_requests(Executor& executor, const ReadingTree& tree, const std::string& stage) {
  return Reading(executor, tree, stage).run();
}

}  // namespace quamba2
