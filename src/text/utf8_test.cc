// SPDX-License-Identifier: Apache-2.0
#include "text/utf8.h"

#include "text/random_text.h"

namespace quamba2 {
namespace {

TEST(Utf8, ValidPrefix) {
  EXPECT_EQ(utf8_valid_prefix(""), 0u);
  EXPECT_EQ(utf8_valid_prefix("abc"), 3u);
  EXPECT_EQ(utf8_valid_prefix("ab\xC3\xA9"), 4u);
  EXPECT_EQ(utf8_valid_prefix("twelve bytes\xC3"), 12u);
  EXPECT_EQ(utf8_valid_prefix("\xC0\x80"), 0u) << "overlong";
  EXPECT_EQ(utf8_valid_prefix("\xED\xA0\x80"), 0u) << "a surrogate";
  EXPECT_EQ(utf8_valid_prefix("\xF4\x90\x80\x80"), 0u) << "above U+10FFFF";
  EXPECT_EQ(utf8_valid_prefix("\xF4\x8F\xBF\xBF"), 4u);
}

TEST(Utf8, IncompleteTail) {
  EXPECT_EQ(utf8_incomplete_tail(""), 0u);
  EXPECT_EQ(utf8_incomplete_tail("a"), 0u);
  EXPECT_EQ(utf8_incomplete_tail("a\xC3"), 1u);
  EXPECT_EQ(utf8_incomplete_tail("a\xC3\xA9"), 0u);
  EXPECT_EQ(utf8_incomplete_tail("\xF0\x9F\x91"), 3u);
  EXPECT_EQ(utf8_incomplete_tail("\xF0\x9F\x91\xA8"), 0u);
  EXPECT_EQ(utf8_incomplete_tail("\xE0\x80"), 0u) << "no second byte of E0 is 80: nothing can complete it";
  EXPECT_EQ(utf8_incomplete_tail("\x80\x80\x80\x80"), 0u);
  EXPECT_EQ(utf8_incomplete_tail("\xC0"), 0u);
}

// The examples of the Unicode standard, section 3.9, tables 3-8 to 3-11.
TEST(Utf8, SanitizeReplacesMaximalPrefixes) {
  const std::string r(kReplacementCharacter);
  EXPECT_EQ(utf8_sanitize("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(utf8_sanitize("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(utf8_sanitize("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(utf8_sanitize("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
}

TEST(Utf8, CodePointsRoundTrip) {
  for (char32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 37) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    utf8_append(c, &text);
    ASSERT_EQ(utf8_valid_prefix(text), text.size());
    ASSERT_EQ(utf8_length(text[0]), text.size());
    size_t at = 0;
    ASSERT_EQ(utf8_next(text, &at), c);
    ASSERT_EQ(at, text.size());
    ASSERT_EQ(utf8_last("x" + text), 1u);
  }
}

// Repairing a prefix without its incomplete tail, then the rest, is repairing the whole.
TEST(Utf8, SanitizingInTwoPartsIsSanitizingAll) {
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string text = i % 2 ? testing::random_text(&random, 6) : testing::random_bytes(&random, 8);
    for (char& c : text) {
      if (random.below(6) == 0) c = static_cast<char>(0x80 + random.below(0x80));
    }
    const std::string whole = utf8_sanitize(text);
    ASSERT_EQ(utf8_valid_prefix(whole), whole.size());
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      const size_t certain = cut - utf8_incomplete_tail(std::string_view(text).substr(0, cut));
      ASSERT_EQ(utf8_sanitize(std::string_view(text).substr(0, certain)) +
                    utf8_sanitize(std::string_view(text).substr(certain)),
                whole);
    }
  }
}

}  // namespace
}  // namespace quamba2
