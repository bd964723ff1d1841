// SPDX-License-Identifier: Apache-2.0
#include "eval/reading_tree.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace quamba2 {
namespace {

uint64_t hash_of(int32_t parent, std::span<const int32_t> ids) {
  Fnv1a hash;
  hash.add(&parent, sizeof parent);
  hash.add(ids.data(), ids.size_bytes());
  return hash.value();
}

}  // namespace

// The stretch of these tokens behind `parent`: the one that is there, or a new one.
int32_t ReadingTree::follow(int32_t parent, std::span<const int32_t> ids) {
  const uint64_t hash = share_ ? hash_of(parent, ids) : 0;
  if (share_) {
    const auto [first, last] = known_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      const Stretch& s = stretches_[static_cast<size_t>(at->second)];
      if (s.parent == parent && std::equal(ids.begin(), ids.end(), s.ids.begin(), s.ids.end())) {
        spared_ += static_cast<int64_t>(ids.size());
        return at->second;
      }
    }
  }
  const auto made = static_cast<int32_t>(stretches_.size());
  Stretch stretch;
  stretch.parent = parent;
  stretch.ids.assign(ids.begin(), ids.end());
  stretches_.push_back(std::move(stretch));
  if (parent == kNoStretch)
    roots_.push_back(made);
  else
    stretches_[static_cast<size_t>(parent)].children.push_back(made);
  if (share_) known_.emplace(hash, made);
  tokens_ += static_cast<int64_t>(ids.size());
  return made;
}

// `known` tokens are context, the others are asked for; the last of them is predicted, not read.
void ReadingTree::follow_whole(std::vector<int32_t> ids, size_t known, int32_t request) {
  const std::span<const int32_t> read = std::span(ids).first(ids.size() - 1);
  int32_t at = kNoStretch;
  for (size_t begin = 0; begin < read.size(); begin += chunk_) {
    const size_t length = std::min(chunk_, read.size() - begin);
    at = follow(at, read.subspan(begin, length));
    for (size_t row = std::max(begin, known - 1); row < begin + length; ++row) {
      stretches_[static_cast<size_t>(at)].asks.push_back(
          {static_cast<int32_t>(row - begin), ids[row + 1], request, static_cast<int32_t>(row + 1 - known)});
    }
  }
}

int32_t ReadingTree::add(std::span<const int32_t> shared, std::span<const int32_t> context,
                         std::span<const int32_t> continuation) {
  QUAMBA2_CHECK(!context.empty() && !continuation.empty(), "a context or continuation without tokens");
  const auto request = static_cast<int32_t>(lengths_.size());
  lengths_.push_back(static_cast<int32_t>(continuation.size()));
  if (chunk_ > 0) {
    std::vector<int32_t> ids(shared.begin(), shared.end());
    ids.insert(ids.end(), context.begin(), context.end());
    const size_t known = ids.size();
    ids.insert(ids.end(), continuation.begin(), continuation.end());
    follow_whole(std::move(ids), known, request);
    return request;
  }
  int32_t at = shared.empty() ? kNoStretch : follow(kNoStretch, shared);
  at = follow(at, context);
  stretches_[static_cast<size_t>(at)].asks.push_back(
      {static_cast<int32_t>(context.size()) - 1, continuation[0], request, 0});
  if (continuation.size() == 1) return request;
  // The last token is predicted, not read.
  at = follow(at, continuation.first(continuation.size() - 1));
  for (size_t i = 1; i < continuation.size(); ++i) {
    stretches_[static_cast<size_t>(at)].asks.push_back(
        {static_cast<int32_t>(i) - 1, continuation[i], request, static_cast<int32_t>(i)});
  }
  return request;
}

}  // namespace quamba2
