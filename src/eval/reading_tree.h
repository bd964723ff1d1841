// SPDX-License-Identifier: Apache-2.0
// What has to be read to score continuations, with common beginnings merged.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace quamba2 {

inline constexpr int32_t kNoStretch = -1;

// One prediction that is wanted: the log-probability of `target` behind token `row` of a stretch.
struct Ask {
  int32_t row = 0, target = 0;
  int32_t request = 0, position = 0;  // token `position` of that request's continuation
};

// Tokens that are read in one go, behind those of the parent.
struct Stretch {
  int32_t parent = kNoStretch;
  std::vector<int32_t> ids;       // never empty
  std::vector<int32_t> children;  // stretches that follow
  std::vector<Ask> asks;
};

// Requests are cut into stretches at the same places whether anything is shared there or not, so that a state in few
// bits, which is rounded where a stretch ends, does not depend on which other requests there are.
class ReadingTree {
 public:
  // Without `share` every request is read on its own. `chunk` > 0: requests are read whole, cut at its multiples, as the
  // scheduler of src/runtime cuts prompts; 0: cut where context and continuation end.
  explicit ReadingTree(bool share, int64_t chunk = 0) : share_(share), chunk_(static_cast<size_t>(chunk)) {}

  // Asks for the tokens of `continuation` behind `shared` and `context`; returns the request's number. `shared` may be
  // empty, the others not.
  int32_t add(std::span<const int32_t> shared, std::span<const int32_t> context, std::span<const int32_t> continuation);

  const std::vector<Stretch>& stretches() const { return stretches_; }
  const std::vector<int32_t>& roots() const { return roots_; }
  const std::vector<int32_t>& lengths() const { return lengths_; }  // of the continuations, by request
  int64_t tokens() const { return tokens_; }                        // that are read
  int64_t tokens_spared() const { return spared_; }                 // by sharing

 private:
  int32_t follow(int32_t parent, std::span<const int32_t> ids);
  void follow_whole(std::vector<int32_t> ids, size_t known, int32_t request);

  bool share_;
  size_t chunk_;
  std::vector<Stretch> stretches_;
  std::vector<int32_t> roots_, lengths_;
  std::unordered_multimap<uint64_t, int32_t> known_;  // by hash of parent and ids
  int64_t tokens_ = 0, spared_ = 0;
};

}  // namespace quamba2
