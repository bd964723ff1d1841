// SPDX-License-Identifier: Apache-2.0
#include "text/bpe_merge.h"

#include <limits>
#include <queue>

#include "text/bpe.h"

namespace quamba2 {
namespace {

constexpr size_t kScanLimit = 64;  // symbols; below, scanning beats the heap
constexpr int32_t kNone = std::numeric_limits<int32_t>::max();

struct Candidate {
  int32_t rank, position, left, right;        // `left` and `right` as they were: an entry with others is stale
  bool operator<(const Candidate& o) const {  // std::priority_queue gives the largest first
    return rank != o.rank ? rank > o.rank : position > o.position;
  }
};

struct Node {
  int32_t id, previous, next;
};

class HeapMerger {
 public:
  HeapMerger(const MergeTable& merges, const std::vector<int32_t>& symbols) : merges_(merges) {
    const auto n = static_cast<int32_t>(symbols.size());
    nodes_.reserve(symbols.size());
    for (int32_t i = 0; i < n; ++i) nodes_.push_back({symbols[static_cast<size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1});
    for (int32_t i = 0; i + 1 < n; ++i) offer(i);
  }

  void run(std::vector<int32_t>* out) {
    while (!heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      Node& left = node(best.position);
      if (left.id != best.left || left.next < 0 || node(left.next).id != best.right) continue;
      apply(best.position);
    }
    out->clear();
    for (int32_t i = 0; i >= 0; i = node(i).next) out->push_back(node(i).id);
  }

 private:
  Node& node(int32_t i) { return nodes_[static_cast<size_t>(i)]; }

  void offer(int32_t position) {
    const Node& left = node(position);
    const Node& right = node(left.next);
    if (const auto* m = merges_.find(left.id, right.id)) heap_.push({m->rank, position, left.id, right.id});
  }

  void apply(int32_t position) {
    Node& left = node(position);
    Node& right = node(left.next);
    left.id = merges_.find(left.id, right.id)->result;
    right.id = -1;  // makes its entries stale
    left.next = right.next;
    if (left.next >= 0) {
      node(left.next).previous = position;
      offer(position);
    }
    if (left.previous >= 0) offer(left.previous);
  }

  const MergeTable& merges_;
  std::vector<Node> nodes_;
  std::priority_queue<Candidate> heap_;
};

}  // namespace

void merge_symbols_by_scan(const MergeTable& merges, std::vector<int32_t>* symbols) {
  std::vector<int32_t>& s = *symbols;
  struct Pair {
    int32_t rank, result;
  };
  std::vector<Pair> pairs(s.size());
  const auto look = [&](size_t i) {
    const auto* m = merges.find(s[i], s[i + 1]);
    pairs[i] = m ? Pair{m->rank, m->result} : Pair{kNone, -1};
  };
  for (size_t i = 0; i + 1 < s.size(); ++i) look(i);
  while (s.size() > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < s.size(); ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == kNone) break;
    s[best] = pairs[best].result;
    s.erase(s.begin() + static_cast<ptrdiff_t>(best) + 1);
    pairs.erase(pairs.begin() + static_cast<ptrdiff_t>(best));
    if (best + 1 < s.size()) look(best);
    if (best > 0) look(best - 1);
  }
}

void merge_symbols_by_heap(const MergeTable& merges, std::vector<int32_t>* symbols) {
  if (symbols->size() > 1) HeapMerger(merges, *symbols).run(symbols);
}

void merge_symbols(const MergeTable& merges, std::vector<int32_t>* symbols) {
  if (symbols->size() < 2) return;
  if (symbols->size() <= kScanLimit) {
    merge_symbols_by_scan(merges, symbols);
  } else {
    merge_symbols_by_heap(merges, symbols);
  }
}

}  // namespace quamba2
