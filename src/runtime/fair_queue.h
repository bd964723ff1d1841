// SPDX-License-Identifier: Apache-2.0
// A queue whose groups take turns: one with a thousand items delays one with a single item by one turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <utility>
#include <vector>

namespace quamba2 {

template <class T>
class FairQueue {
 public:
  // Items of a group keep their order. A new group goes behind those that wait.
  void push(uint64_t group, T item) {
    ++size_;
    for (auto& [name, items] : groups_) {
      if (name == group) return items.push_back(std::move(item));
    }
    groups_.emplace_back(group, std::deque<T>());
    groups_.back().second.push_back(std::move(item));
  }

  // The oldest item of the group whose turn it is, which then goes to the end. The queue must not be empty.
  T pop() {
    T item = std::move(groups_.front().second.front());
    groups_.front().second.pop_front();
    --size_;
    if (groups_.front().second.empty()) {
      groups_.pop_front();
    } else {
      groups_.splice(groups_.end(), groups_, groups_.begin());
    }
    return item;
  }

  // Takes out the items that `unwanted` holds for, in no order of turns.
  template <class Unwanted>
  std::vector<T> remove_if(const Unwanted& unwanted) {
    std::vector<T> out;
    for (auto group = groups_.begin(); group != groups_.end();) {
      std::deque<T> kept;
      for (T& item : group->second) {
        if (unwanted(item)) {
          out.push_back(std::move(item));
        } else {
          kept.push_back(std::move(item));
        }
      }
      group->second.swap(kept);
      group = group->second.empty() ? groups_.erase(group) : std::next(group);
    }
    size_ -= out.size();
    return out;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::list<std::pair<uint64_t, std::deque<T>>> groups_;  // the first one's turn is next
  size_t size_ = 0;
};

}  // namespace quamba2
