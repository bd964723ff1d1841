// SPDX-License-Identifier: Apache-2.0
#include "runtime/stop_strings.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "quamba2/error.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

// Where the text ends: before the stop string that is complete first, the longest of those that end together.
std::string naive(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops) {
      if (end >= stop.size() && text.compare(end - stop.size(), stop.size(), stop) == 0)
        longest = std::max(longest, stop.size());
    }
    if (longest > 0) return text.substr(0, end - longest);
  }
  return text;
}

TEST(StopStrings, AgreesWithNaiveSearchHoweverTheTextIsCut) {
  const std::vector<std::string> letters = {"a", "b",  "é",
                                            "è", "漢", "汉"};  // é and è, 漢 and 汉 begin with the same bytes
  for (uint64_t seed = 0; seed < 5000; ++seed) {
    Random random(seed);
    const auto word = [&](int64_t most) {
      std::string out;
      const int64_t kinds = 1 + random.below(6);
      for (int64_t n = 1 + random.below(most); n > 0; --n) out += letters[static_cast<size_t>(random.below(kinds))];
      return out;
    };
    std::vector<std::string> stops;
    for (int64_t n = random.below(4); n > 0; --n) stops.push_back(word(5));
    const std::string text = word(40);
    StopStrings filter(stops);
    std::string shown;
    for (size_t at = 0; at < text.size() && !filter.stopped();) {
      const auto bytes = static_cast<size_t>(1 + random.below(5));  // cuts characters too
      shown += filter.push(std::string_view(text).substr(at, bytes));
      ASSERT_EQ(utf8_valid_prefix(shown), shown.size()) << "seed " << seed;
      at += bytes;
      const std::string so_far = naive(text.substr(0, at), stops);
      ASSERT_EQ(so_far.compare(0, shown.size(), shown), 0) << "seed " << seed << ": shown too much";
    }
    const std::string expected = naive(text, stops);
    ASSERT_EQ(filter.stopped(), expected.size() < text.size()) << "seed " << seed;
    shown += filter.flush();
    ASSERT_EQ(shown, expected) << "seed " << seed;
  }
}

TEST(StopStrings, HoldsBackNoMoreThanItMust) {
  StopStrings filter({"\n\nQ:", "###"});
  EXPECT_EQ(filter.push("one"), "one");
  EXPECT_EQ(filter.push("\n"), "");
  EXPECT_EQ(filter.push("two ##"), "\ntwo ");
  EXPECT_EQ(filter.push("!"), "##!");
  EXPECT_EQ(filter.push("\n\n\nQ"), "\n");
  EXPECT_FALSE(filter.stopped());
  EXPECT_EQ(filter.push(": more"), "");
  EXPECT_TRUE(filter.stopped());
  EXPECT_EQ(filter.push("text"), "");
  EXPECT_EQ(filter.flush(), "");
}

TEST(StopStrings, FlushGivesWhatWasHeld) {
  StopStrings filter({"stop"});
  EXPECT_EQ(filter.push("non-sto"), "non-");
  EXPECT_EQ(filter.flush(), "sto");
}

TEST(StopStrings, RefusesTheEmptyString) {
  EXPECT_THROW(StopStrings({"a", ""}), Error);
  StopStrings none({});
  EXPECT_EQ(none.push("text"), "text");
}

}  // namespace
}  // namespace quamba2
