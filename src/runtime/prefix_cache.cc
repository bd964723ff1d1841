// SPDX-License-Identifier: Apache-2.0
#include "runtime/prefix_cache.h"

#include <algorithm>
#include <utility>

namespace quamba2 {
namespace {

size_t common(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

PrefixCache::PrefixCache(uint64_t budget) : budget_(budget), root_(std::make_unique<Node>()) {}

// Long chains of nodes are taken apart one by one: their destructors would nest.
PrefixCache::~PrefixCache() {
  while (!recent_.empty()) drop(recent_.back());
}

// A node's label counts with it, as labels above it live as long as it does at least.
uint64_t PrefixCache::cost(const Node& node) {
  return node.state->size() + sizeof(Node) + node.label.size() * sizeof(int32_t);
}

PrefixCache::Hit PrefixCache::find(std::span<const int32_t> ids, size_t most, bool exact_only) {
  Node *node = root_.get(), *best = nullptr;
  size_t depth = 0, found = 0;
  ids = ids.first(std::min(most, ids.size()));
  while (depth < ids.size()) {
    const auto next = node->children.find(ids[depth]);
    if (next == node->children.end()) break;
    node = next->second.get();
    if (common(node->label, ids.subspan(depth)) < node->label.size()) break;
    depth += node->label.size();
    if (node->state && (node->exact || !exact_only)) best = node, found = depth;
  }
  if (!best) return {};
  recent_.splice(recent_.begin(), recent_, best->place);
  return {found, best->state, best->exact};
}

bool PrefixCache::holds(std::span<const int32_t> ids, bool exact) const {
  const Node* node = root_.get();
  while (!ids.empty()) {
    const auto next = node->children.find(ids[0]);
    if (next == node->children.end()) return false;
    node = next->second.get();
    if (common(node->label, ids) < node->label.size()) return false;
    ids = ids.subspan(node->label.size());
  }
  return node->state && (node->exact || !exact);
}

void PrefixCache::insert(std::span<const int32_t> ids, State state, bool exact) {
  if (state->size() + sizeof(Node) + ids.size_bytes() > budget_ || holds(ids, exact)) return;
  Node* node = reach(ids);
  if (node->state) {
    bytes_ -= cost(*node);
    recent_.erase(node->place);
  }
  node->state = std::move(state);
  node->exact = exact;
  node->place = recent_.insert(recent_.begin(), node);
  bytes_ += cost(*node);
  while (bytes_ > budget_) drop(recent_.back());
}

// The node at the end of `ids`, made where there is none.
PrefixCache::Node* PrefixCache::reach(std::span<const int32_t> ids) {
  Node* node = root_.get();
  while (!ids.empty()) {
    std::unique_ptr<Node>& next = node->children[ids[0]];
    if (!next) {
      next = std::make_unique<Node>();
      next->label.assign(ids.begin(), ids.end());
      next->parent = node;
      return next.get();
    }
    const size_t shared = common(next->label, ids);
    node = shared < next->label.size() ? split(next.get(), shared) : next.get();
    ids = ids.subspan(shared);
  }
  return node;
}

// Puts a node without a state into the edge that leads to `node`, behind `at` tokens of it.
PrefixCache::Node* PrefixCache::split(Node* node, size_t at) {
  if (node->state) bytes_ -= cost(*node);
  Node* parent = node->parent;
  std::unique_ptr<Node>& place = parent->children[node->label[0]];
  auto middle = std::make_unique<Node>();
  const auto cut = node->label.begin() + static_cast<std::ptrdiff_t>(at);
  middle->label.assign(node->label.begin(), cut);
  middle->parent = parent;
  std::unique_ptr<Node> below = std::move(place);
  below->label.erase(below->label.begin(), cut);
  below->parent = middle.get();
  if (below->state) bytes_ += cost(*below);
  middle->children[below->label[0]] = std::move(below);
  place = std::move(middle);
  return place.get();
}

// Forgets a node's state, and the nodes that lead to no state any more.
void PrefixCache::drop(Node* node) {
  bytes_ -= cost(*node);
  recent_.erase(node->place);
  node->state = nullptr;
  while (node != root_.get() && !node->state && node->children.empty()) {
    Node* parent = node->parent;
    parent->children.erase(node->label[0]);
    node = parent;
  }
}

}  // namespace quamba2
