// SPDX-License-Identifier: Apache-2.0
// Kept states of prefixes: a radix tree over token ids whose nodes may hold the state that follows them, within a budget
// of bytes. What was used longest ago goes first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "backend/kept_state.h"

namespace quamba2 {

class PrefixCache {
 public:
  using State = std::shared_ptr<const KeptState>;

  explicit PrefixCache(uint64_t budget);  // 0: keeps nothing
  ~PrefixCache();

  struct Hit {
    size_t tokens = 0;  // 0: none was found
    State state;
    bool exact = false;
  };
  // The longest kept prefix of `ids` that has at most `most` tokens. An exact state is what reading the prefix afresh
  // gives, bit for bit; with `exact_only` others do not count.
  Hit find(std::span<const int32_t> ids, size_t most, bool exact_only);
  // Keeps the state that follows `ids`, which must not be empty. An exact one takes the place of one that is not.
  void insert(std::span<const int32_t> ids, State state, bool exact);
  void insert(std::span<const int32_t> ids, std::vector<std::byte> state, bool exact) {
    insert(ids, std::make_shared<const KeptState>(std::move(state)), exact);
  }
  // Whether insert would change nothing: the state need not be copied then.
  bool holds(std::span<const int32_t> ids, bool exact) const;

  uint64_t bytes() const { return bytes_; }  // states and their tokens; never more than the budget
  size_t entries() const { return recent_.size(); }

 private:
  struct Node {
    std::vector<int32_t> label;  // from its parent to here
    Node* parent = nullptr;
    std::map<int32_t, std::unique_ptr<Node>> children;  // by the first token of their labels
    State state;
    bool exact = false;
    std::list<Node*>::iterator place;  // in recent_, where there is a state
  };
  Node* reach(std::span<const int32_t> ids);
  Node* split(Node* node, size_t at);
  void drop(Node* node);
  static uint64_t cost(const Node& node);

  uint64_t budget_, bytes_ = 0;
  std::unique_ptr<Node> root_;
  std::list<Node*> recent_;  // nodes with states, the last used first
};

}  // namespace quamba2
