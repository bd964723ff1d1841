// SPDX-License-Identifier: Apache-2.0
// Classes of every code point against Hugging Face tokenizers (tests/data/tokenizers/code_points.json).
#include "text/unicode.h"

#include "base/file.h"
#include "base/json.h"
#include "support/paths.h"
#include "text/gpt2_scanner.h"
#include "text/pattern.h"
#include "text/random_text.h"

namespace quamba2 {
namespace {

std::vector<bool> members(const Json& table, const char* name) {
  std::vector<bool> in(0x110000, false);
  const Json::Array& ends = table.find(name)->as_array(name);
  for (size_t i = 0; i + 1 < ends.size(); i += 2) {
    for (int64_t c = ends[i].as_int(name); c <= ends[i + 1].as_int(name); ++c) in[static_cast<size_t>(c)] = true;
  }
  return in;
}

Json table() {
  const std::string path = testing::source_path("tests/data/tokenizers/code_points.json");
  return Json::parse(read_file(path), path);
}

template <class Check>
void for_all(Check check) {
  for (char32_t c = 1; c < 0x110000; ++c) {
    if (c < 0xD800 || c >= 0xE000) check(c);
  }
}

void expect_class(const char* name, bool (*holds)(char32_t)) {
  const std::vector<bool> expected = members(table(), name);
  int wrong = 0;
  for_all([&](char32_t c) {
    if (holds(c) != expected[c] && ++wrong < 10) ADD_FAILURE() << name << ": " << std::hex << uint32_t{c};
  });
  EXPECT_EQ(wrong, 0) << name;
}

TEST(Unicode, ClassesAgreeOnEveryCodePoint) {
  expect_class("letter", [](char32_t c) { return char_class(c) == CharClass::kLetter; });
  expect_class("number", [](char32_t c) { return char_class(c) == CharClass::kNumber; });
  expect_class("space", [](char32_t c) { return char_class(c) == CharClass::kSpace; });
  expect_class("space", is_white_space);
  expect_class("numeric", is_numeric);
  expect_class("punctuation", is_punctuation);
}

// Marks since Unicode 16 that utf8proc lacks; they matter beside `single_word` tokens only.
TEST(Unicode, WordCharactersAgreeButForNewMarks) {
  const std::vector<bool> expected = members(table(), "word");
  int wrong = 0;
  for_all([&](char32_t c) { wrong += is_word(c) != expected[c]; });
  EXPECT_LT(wrong, 60);
}

void expect_regex(const char* name, const char* expression, int allowed) {
  const std::vector<bool> expected = members(table(), name);
  const Pattern pattern = Pattern::regex(expression, "test");
  int wrong = 0;
  for_all([&](char32_t c) {
    std::string text;
    utf8_append(c, &text);
    size_t begin = 0, end = 0;
    wrong += Pattern::Matcher(pattern, text).next(&begin, &end) != expected[c];
  });
  EXPECT_LE(wrong, allowed) << expression;
}

TEST(Unicode, RegularExpressionsAgreeOnEveryCodePoint) {
  expect_regex("letter", R"(\p{L})", 0);
  expect_regex("letter", R"([\p{L}])", 0);
  expect_regex("number", R"([^\P{N}x])", 120);  // \P inside a class keeps PCRE2's tables
  expect_regex("number", R"(\p{N})", 0);
  expect_regex("space", R"(\s)", 0);
  expect_regex("space", R"([^\S])", 0);
  expect_regex("digit", R"(\d)", 0);
  expect_regex("regex_word", R"(\w)", 200);  // marks since Unicode 15, which need no translation to be close
}

TEST(Unicode, NormalForms) {
  EXPECT_EQ(normalize("e\xCC\x81", NormalForm::kNfc), "\xC3\xA9");
  EXPECT_EQ(normalize("\xC3\xA9", NormalForm::kNfd), "e\xCC\x81");
  EXPECT_EQ(normalize("\xEF\xAC\x81", NormalForm::kNfkc), "fi");
  EXPECT_EQ(normalize(std::string("a\0b", 3), NormalForm::kNfc), std::string("a\0b", 3));
  EXPECT_EQ(normalize("q\xCC\x87\xCC\xA3", NormalForm::kNfc), "q\xCC\xA3\xCC\x87") << "marks are put in order";
  EXPECT_EQ(to_lower("\xC4\xB0"), "i\xCC\x87");
  // Known to Unicode 15, not to tokenizers: no reordering across it, no decomposition.
  EXPECT_EQ(normalize("\xCC\x81\xE0\xB4\xBC", NormalForm::kNfc), "\xCC\x81\xE0\xB4\xBC");
  EXPECT_EQ(normalize("\xF0\x9F\xAF\xB0", NormalForm::kNfkc), "\xF0\x9F\xAF\xB0");
  EXPECT_EQ(strip_accents("e\xCC\x81x"), "ex");
}

TEST(Unicode, NormalizingIsIdempotentAndPiecewise) {
  Random random(2);
  for (int i = 0; i < 5000; ++i) {
    const std::string a = testing::random_text(&random, 12), b = testing::random_text(&random, 12);
    for (const NormalForm form : {NormalForm::kNfc, NormalForm::kNfd, NormalForm::kNfkc, NormalForm::kNfkd}) {
      const std::string once = normalize(a, form);
      ASSERT_EQ(normalize(once, form), once);
      ASSERT_EQ(normalize(a + "x\n" + b, form), once + normalize("x\n" + b, form));
    }
  }
}

TEST(Unicode, LongRunsOfMarksAreNotQuadratic) {
  std::string text = "a";
  for (int i = 0; i < 300000; ++i) text += i % 2 ? "\xCC\x81" : "\xCC\xA3";
  EXPECT_GT(normalize(text, NormalForm::kNfc).size(), 0u);
}

TEST(Gpt2Scanner, AgreesWithItsExpression) {
  const Pattern pattern = Pattern::regex(std::string(kGpt2Pattern), "test");
  Random random(3);
  for (int i = 0; i < 20000; ++i) {
    const std::string text = testing::random_text(&random, 24);
    Pattern::Matcher matcher(pattern, text);
    size_t at = 0, begin = 0, end = 0;
    while (matcher.next(&begin, &end)) {
      ASSERT_EQ(begin, at) << text;
      ASSERT_EQ(gpt2_match(std::string_view(text).substr(at)), end - begin) << text;
      at = end;
    }
    ASSERT_EQ(at, text.size());
  }
}

TEST(Pattern, RefusesWhatItCannotTranslate) {
  for (const char* bad : {"[a[b]]", "[a&&b]", "(", "[[:alpha", "a{2,1}", "\\p{Nonsense}", "[\\H]"}) {
    EXPECT_ANY_THROW(Pattern::regex(bad, "test")) << bad;
  }
}

TEST(Pattern, GivesUpOnExplodingExpressions) {
  const Pattern pattern = Pattern::regex("(a+)+$x", "test");
  const std::string text(64, 'a');
  size_t begin = 0, end = 0;
  Pattern::Matcher matcher(pattern, text);
  try {
    EXPECT_FALSE(matcher.next(&begin, &end));
  } catch (const std::exception&) {}
}

}  // namespace
}  // namespace quamba2
