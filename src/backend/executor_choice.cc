// SPDX-License-Identifier: Apache-2.0
// Calls whose tokens a device chooses: what it is sent for them, and how they come back.
#include <cstring>

#include "backend/executor.h"
#include "base/check.h"

namespace quamba2 {

void Executor::run_and_choose(std::span<const int32_t> ids, std::span<const Segment> segments,
                              std::span<const int32_t> rows, std::span<const TokenRule> rules) {
  QUAMBA2_CHECK(can_choose() && rows.size() == rules.size(), "tokens cannot be chosen here");
  QUAMBA2_CHECK(untaken() < kMostAhead, "too many calls ahead");
  check_segments(static_cast<int64_t>(ids.size()), segments);
  check_ids(ids, chosen_rows_);
  put_ids(ids);
  set_rows(RowKind::kTokens, static_cast<int32_t>(ids.size()), segments);
  select(rows);
  put_rules(rules);
  walk(kBody | kNorm | kHead | kChoice);
  ids_are_the_chosen_ = true;
  tell_choice(static_cast<int32_t>(rows.size()));
}

// What the last choice left as ids stays, where it is what is asked for.
void Executor::put_ids(std::span<const int32_t> ids) {
  bool follows = false, in_order = ids_are_the_chosen_ && static_cast<int32_t>(ids.size()) == chosen_rows_;
  for (size_t t = 0; t < ids.size(); ++t) {
    follows = follows || ids[t] < 0;
    in_order = in_order && ids[t] == -1 - static_cast<int32_t>(t);
  }
  if (in_order) return;
  put(&plan_->ids, ids.data(), ids.size_bytes(), nullptr);
  if (!follows) return;
  auto& args = std::get<FollowTokensArgs>(plan_->follow.args);
  args.ids.dim[0] = static_cast<int32_t>(ids.size());
  args.chosen.dim[0] = chosen_rows_;
  plan_->follow.run(plan_->follow, backend_->stream());
  plan_->device->check_launch(plan_->follow.kernel);
}

// The device counts draws itself: rules that go on need not be sent again.
void Executor::put_rules(std::span<const TokenRule> rules) {
  put(&plan_->rules, rules.data(), rules.size_bytes(), &held_rules_);
  bool draws = false;
  for (size_t r = 0; r < rules.size(); ++r) {
    if (rules[r].temperature == 0) continue;
    draws = true;
    TokenRule next = rules[r];
    ++next.draws;
    std::memcpy(held_rules_.data() + r * sizeof next, &next, sizeof next);
  }
  std::get<ChooseTokenArgs>(plan_->choose.args).draws = draws;
}

void Executor::tell_choice(int32_t count) {
  Told& told = told_[asked_++ % (kMostAhead + 1)];
  if (!told.mark) {
    told.tokens = HostMemory(*plan_->device, plan_->chosen.size());
    told.mark = plan_->device->make_mark();
  }
  told.count = chosen_rows_ = count;
  plan_->device->download_later(told.tokens.data(), plan_->chosen.data(), static_cast<size_t>(count) * sizeof(int32_t));
  plan_->device->set_mark(told.mark);
}

std::span<const int32_t> Executor::take_chosen() {
  QUAMBA2_CHECK(untaken() > 0, "no call has chosen tokens");
  const Told& told = told_[taken_++ % (kMostAhead + 1)];
  plan_->device->wait_for_mark(told.mark);
  return {reinterpret_cast<const int32_t*>(told.tokens.data()), static_cast<size_t>(told.count)};
}

}  // namespace quamba2
