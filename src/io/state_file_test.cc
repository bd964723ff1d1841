// SPDX-License-Identifier: Apache-2.0
#include "quamba2/state_file.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "quamba2/error.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

PausedText sample() {
  PausedText s;
  s.model = "a model";
  s.recipe = "w4a8";
  s.fingerprint = "0123456789abcdef";
  s.ids = {5, 0, 7, 2147483647};
  s.read = 3;
  s.prompt_tokens = 2;
  s.seed = 0xffffffffffffffffull;
  s.draws = 12345678901ull;
  s.state = std::make_shared<const std::vector<std::byte>>(std::vector<std::byte>{std::byte{1}, std::byte{0xff}});
  s.notes = {{"chat", "[\"Grüße\"]"}, {"", "no name"}};
  return s;
}

std::string saved(const PausedText& paused) {
  const std::string path = testing::temporary_directory() + "/state";
  save_state_file(paused, path);
  return read_file(path);
}

// The message that parsing ends with; empty where it does not.
std::string refusal(const std::string& bytes) {
  try {
    parse_state_file(bytes, "it");
    return {};
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kModelFile);
    return e.what();
  }
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

void expect_equal(const PausedText& a, const PausedText& b) {
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.recipe, b.recipe);
  EXPECT_EQ(a.fingerprint, b.fingerprint);
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.read, b.read);
  EXPECT_EQ(a.prompt_tokens, b.prompt_tokens);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.draws, b.draws);
  EXPECT_EQ(*a.state, *b.state);
  EXPECT_EQ(a.notes, b.notes);
}

TEST(StateFile, RoundTrip) { expect_equal(parse_state_file(saved(sample()), "it"), sample()); }

TEST(StateFile, AnEmptyTextToo) {
  const PausedText back = parse_state_file(saved({}), "it");
  EXPECT_TRUE(back.ids.empty());
  EXPECT_EQ(back.state, nullptr);
}

// But for those that change nothing, in the blanks behind the header.
TEST(StateFile, EveryFlippedBitIsFound) {
  const std::string good = saved(sample());
  ASSERT_EQ(refusal(good), "");
  size_t harmless = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      if (!refusal(bad).empty()) continue;
      ++harmless;
      SCOPED_TRACE(i);
      expect_equal(parse_state_file(bad, "it"), sample());
    }
  }
  EXPECT_LE(harmless, 16u);
}

TEST(StateFile, EveryShorterFileIsRefused) {
  const std::string good = saved(sample());
  for (size_t bytes = 0; bytes < good.size(); ++bytes) EXPECT_NE(refusal(good.substr(0, bytes)), "") << bytes;
}

TEST(StateFile, SaysWhatIsWrong) {
  const std::string good = saved(sample());
  EXPECT_NE(refusal(replaced(good, "\"version\":\"1\"", "\"version\":\"2\"")).find("version 2"), std::string::npos);
  EXPECT_NE(refusal(replaced(good, "quamba2 state", "another state")).find("another kind"), std::string::npos);
  EXPECT_NE(refusal(replaced(good, "\"read\":\"3\"", "\"read\":\"5\"")).find("\"read\" is 5, of 4"), std::string::npos);
  EXPECT_NE(refusal(replaced(good, "\"read\":\"3\"", "\"read\":\"0\"")).find("do not go together"), std::string::npos);
  EXPECT_NE(refusal(replaced(good, "\"read\":\"3\"", "\"read\":\"x\"")).find("whole number"), std::string::npos);
  EXPECT_NE(refusal(replaced(good, "a model", "b model")).find("checksum"), std::string::npos);
}

}  // namespace
}  // namespace quamba2
