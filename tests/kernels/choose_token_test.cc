// SPDX-License-Identifier: Apache-2.0
// choose_token and follow_tokens of devices against the references: the same tokens, and nothing else is written.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "support/under_test.h"
#include "support/workspace.h"

namespace quamba2::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Problem {
  int32_t rows = 3, vocabulary = 1000, padding = 0, misalign = 0, row_pad = 0;
  std::function<void(float* row, int32_t r, int32_t vocabulary)> change = {};
  std::function<void(TokenRule* rule, int32_t r)> rule = {};
};

// Arguments of a problem in a workspace. Padding holds the largest numbers, and one that is none.
ChooseTokenArgs arguments(Workspace* space, const Problem& p) {
  const int32_t columns = p.vocabulary + p.padding;
  ChooseTokenArgs args;
  args.logits.values = space->view(DType::kF32, {p.rows, columns}, p.row_pad, p.misalign);
  const std::vector<int32_t> nothing(static_cast<size_t>(p.rows), -7);
  args.chosen = space->indices(nothing), args.next = space->indices(nothing);
  auto* rules = static_cast<TokenRule*>(space->bytes(static_cast<size_t>(p.rows) * sizeof(TokenRule), 0));
  args.rules = args.chosen;
  args.rules.data = rules;
  args.rules.rank = 2, args.rules.dim[1] = args.rules.stride[0] = sizeof(TokenRule) / 4, args.rules.stride[1] = 1;
  for (int32_t r = 0; r < p.rows; ++r) {
    float* row = static_cast<float*>(args.logits.values.data) + r * args.logits.values.stride[0];
    for (int32_t i = 0; i < p.vocabulary; ++i) row[i] = static_cast<float>(3 * space->random.normal());
    for (int32_t i = p.vocabulary; i < columns; ++i) row[i] = i % 2 == 0 ? 1e30f : kNan;
    rules[r] = TokenRule{};
    rules[r].vocabulary = p.vocabulary;
    if (p.rule) p.rule(&rules[r], r);
    if (p.change) p.change(row, r, rules[r].vocabulary);
    args.draws = args.draws || rules[r].temperature != 0;
  }
  return args;
}

std::vector<unsigned char> bytes_of(const TensorView& v, size_t row_bytes) {
  const auto* data = static_cast<const unsigned char*>(v.data);
  return {data, data + static_cast<size_t>(v.dim[0]) * row_bytes};
}
void put_back(const TensorView& v, const std::vector<unsigned char>& bytes) {
  std::memcpy(v.data, bytes.data(), bytes.size());
}

void check(const std::string& name, uint64_t seed, const Problem& p) {
  SCOPED_TRACE(name + ", seed " + std::to_string(seed));
  Workspace space(seed);
  const ChooseTokenArgs args = arguments(&space, p);
  space.take_snapshot();
  const std::vector<std::pair<const TensorView*, size_t>> outputs = {
      {&args.rules, sizeof(TokenRule)}, {&args.chosen, 4}, {&args.next, 4}};
  std::vector<std::vector<unsigned char>> before, expected;
  for (const auto& [view, size] : outputs) before.push_back(bytes_of(*view, size));
  reference_choose_token(args);
  for (const auto& [view, size] : outputs) expected.push_back(bytes_of(*view, size));
  for (const KernelTable* table : under_test().tables) {
    for (int32_t k = 0; k < table->choose_token.count; ++k) {
      const Kernel<ChooseTokenArgs>& row = table->choose_token.rows[k];
      if (row.supports(args).refusal) continue;
      space.restore();
      run_under_test(row, args, 1, space.blocks(), nullptr);
      const auto* chosen = static_cast<const int32_t*>(args.chosen.data);
      const auto* wanted = reinterpret_cast<const int32_t*>(expected[1].data());
      for (int32_t r = 0; r < p.rows; ++r) EXPECT_EQ(chosen[r], wanted[r]) << row.name << ", row " << r;
      for (size_t i = 0; i < outputs.size(); ++i) {
        EXPECT_EQ(bytes_of(*outputs[i].first, outputs[i].second), expected[i]) << row.name << ", output " << i;
        put_back(*outputs[i].first, before[i]);
      }
      EXPECT_TRUE(space.unchanged()) << row.name << " has written where it should not";
    }
  }
}

std::vector<std::pair<std::string, Problem>> greedy_problems() {
  std::vector<std::pair<std::string, Problem>> all;
  for (int32_t v :
       {1, 2, 3, 4, 5, 7, 31, 32, 33, 63, 64, 65, 127, 1000, 2047, 2048, 2049, 4095, 4100, 16384, 50277, 65024, 128256})
    for (int32_t rows : {1, 3}) all.push_back({"vocabulary " + std::to_string(v), {rows, v, v % 16}});
  for (int32_t rows : {2, 64, 66, 67, 140}) all.push_back({"rows " + std::to_string(rows), {rows, 5003, 5}});
  for (int32_t misalign : {0, 1, 2, 3})
    for (int32_t pad : {0, 1, 4}) all.push_back({"strides", {5, 999, 1, misalign, pad}});
  const auto changed = [&](const char* name, auto change) {
    for (int32_t v : {17, 1000, 50277}) all.push_back({name, {4, v, 11, 0, 0, change}});
  };
  changed("equal", [](float* row, int32_t, int32_t v) { std::fill_n(row, v, 1.5f); });
  changed("few values", [](float* row, int32_t, int32_t v) {
    for (int32_t i = 0; i < v; ++i) row[i] = std::round(row[i]);
  });
  changed("two of the largest", [](float* row, int32_t r, int32_t v) { row[v - 1] = row[r] = 99; });
  changed("zeros of both signs", [](float* row, int32_t r, int32_t v) {
    for (int32_t i = 0; i < v; ++i) row[i] = (i + r) % 2 == 0 ? -0.0f : 0.0f;
  });
  changed("negative", [](float* row, int32_t, int32_t v) {
    for (int32_t i = 0; i < v; ++i) row[i] = -1 - std::abs(row[i]);
  });
  changed("only one is finite", [](float* row, int32_t r, int32_t v) {
    std::fill_n(row, v, -kInfinity);
    row[v - 1 - r] = -3e38f;
  });
  changed("minus infinity alone in some", [](float* row, int32_t r, int32_t v) {
    if (r % 2 == 0) std::fill_n(row, v, -kInfinity);
  });
  changed("infinite", [](float* row, int32_t r, int32_t v) { row[v / 2] = row[v / 2 + r] = kInfinity; });
  changed("not a number", [](float* row, int32_t r, int32_t v) {
    if (r == 1) row[0] = -kNan;
    if (r == 2) row[v - 1] = row[v / 2] = kNan;
    if (r == 3) std::fill_n(row, v, kNan);
  });
  changed("denormal", [](float* row, int32_t, int32_t v) {
    for (int32_t i = 0; i < v; ++i) row[i] *= 1e-39f;
  });
  Problem own = {4, 3000, 4};
  own.rule = [](TokenRule* rule, int32_t r) { rule->vocabulary -= 700 * r + r; };
  all.push_back({"a vocabulary each", own});
  return all;
}

TEST(ChooseToken, GreedyMatchesTheReference) {
  if (under_test().tables.empty()) GTEST_SKIP() << "no device";
  uint64_t seed = 9000;
  for (const auto& [name, problem] : greedy_problems()) check(name, ++seed, problem);
}

// Sums of the kernel are of whole numbers of 2^-46 of the largest weight or so: another token than the reference's is a matter of one
// draw in ten millions.
std::vector<std::pair<std::string, Problem>> drawing_problems() {
  std::vector<std::pair<std::string, Problem>> all;
  const auto rule_of = [](int kind) {
    return [kind](TokenRule* rule, int32_t r) {
      rule->temperature = r % 5 == 4 ? 0 : 0.3 + 0.3 * (r % 4);
      rule->seed = static_cast<uint64_t>(17 * r + kind), rule->draws = static_cast<uint64_t>(r);
      if (kind & 1) rule->top_k = 1 + 13 * r % (rule->vocabulary + 2);
      if (kind & 2) rule->top_p = 0.1 + 0.13 * (r % 7);
      if (kind & 4) rule->min_p = 0.001 * (1 + r % 100);
      if (kind & 8) rule->top_k = 40, rule->top_p = 0.95;
    };
  };
  for (int kind = 0; kind < 9; ++kind) {
    const std::string name = "draw " + std::to_string(kind);
    for (int32_t v : {1, 2, 31, 33, 1000, 1025, 5003, 50277})
      all.push_back({name, {20, v, v % 7, 0, 0, {}, rule_of(kind)}});
    const auto changed = [&](const char* what, int32_t v, auto change) {
      all.push_back({name + ", " + what, {12, v, 5, 1, 0, change, rule_of(kind)}});
    };
    changed("equal", 3000, [](float* row, int32_t, int32_t n) { std::fill_n(row, n, -2.0f); });
    changed("few values", 20000, [](float* row, int32_t, int32_t n) {
      for (int32_t i = 0; i < n; ++i) row[i] = std::round(row[i]);
    });
    changed("far apart", 5003, [](float* row, int32_t, int32_t n) {
      for (int32_t i = 0; i < n; ++i) row[i] *= 40;
    });
    changed("close", 5003, [](float* row, int32_t, int32_t n) {
      for (int32_t i = 0; i < n; ++i) row[i] *= 1e-3f;
    });
    changed("broken", 300, [](float* row, int32_t r, int32_t n) {
      if (r % 4 == 0) row[n / 2] = kNan;
      if (r % 4 == 1) std::fill_n(row, n, -kInfinity);
      if (r % 4 == 2) std::fill_n(row + 1, n - 1, -kInfinity);
      if (r % 4 == 3) row[n / 3] = row[n - 1] = kInfinity;
    });
  }
  return all;
}

TEST(ChooseToken, DrawsMatchTheReference) {
  if (under_test().tables.empty()) GTEST_SKIP() << "no device";
  uint64_t seed = 9500;
  for (const auto& [name, problem] : drawing_problems()) check(name, ++seed, problem);
}

TEST(FollowTokens, MatchesTheReference) {
  if (under_test().tables.empty()) GTEST_SKIP() << "no device";
  for (const KernelTable* table : under_test().tables) {
    ASSERT_EQ(table->follow_tokens.count, 1);
    for (int32_t tokens : {1, 2, 31, 511, 512, 513, 1500}) {
      Workspace space(static_cast<uint64_t>(tokens));
      std::vector<int32_t> ids, chosen = {5, -1, 0, 77, -9};
      for (int32_t t = 0; t < tokens; ++t) ids.push_back(t % 3 == 0 ? t : -1 - t % 5);
      FollowTokensArgs args{space.indices(ids), space.indices(chosen)};
      space.take_snapshot();
      const std::vector<unsigned char> before = bytes_of(args.ids, 4);
      reference_follow_tokens(args);
      const std::vector<unsigned char> expected = bytes_of(args.ids, 4);
      space.restore();
      run_under_test(table->follow_tokens.rows[0], args, 1, space.blocks(), nullptr);
      EXPECT_EQ(bytes_of(args.ids, 4), expected) << tokens;
      put_back(args.ids, before);
      EXPECT_TRUE(space.unchanged());
    }
  }
}

}  // namespace
}  // namespace quamba2::testing
