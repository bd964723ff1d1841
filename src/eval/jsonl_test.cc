// SPDX-License-Identifier: Apache-2.0
#include "eval/jsonl.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "quamba2/error.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

std::string written(const std::string& text) {
  const std::string path = testing::temporary_directory() + "/a.jsonl";
  AtomicFile file(path);
  file.write(text);
  file.commit();
  return path;
}

// What is wrong with `text` for a reader that wants "s", "list" with two strings and "gold" below 2.
std::string failure(const std::string& text) {
  try {
    for_each_record(written(text), [](const Record& r) {
      r.text("s");
      r.texts("list", 2);
      r.index("gold", 2);
      return true;
    });
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kModelFile) << e.what();
    return e.what();
  }
  return "";
}

const std::string kGood = "{\"s\": \"a\", \"list\": [\"b\", \"c\"], \"gold\": 1}\n";

TEST(Jsonl, LinesAreCountedAndBlankOnesSkipped) {
  std::vector<int64_t> lines;
  for_each_record(written(kGood + "\n  \r\n" + kGood + "{\"x\": 1}"), [&](const Record& r) {
    lines.push_back(r.line());
    return true;
  });
  EXPECT_EQ(lines, (std::vector<int64_t>{1, 4, 5}));
  EXPECT_EQ(failure(kGood + "\n" + kGood), "");
}

TEST(Jsonl, StopsWhereTheVisitorSays) {
  int seen = 0;
  for_each_record(written(kGood + kGood + "no JSON"), [&](const Record&) { return ++seen < 2; });
  EXPECT_EQ(seen, 2);
}

TEST(Jsonl, EveryComplaintNamesFileAndLine) {
  const std::pair<std::string, const char*> cases[] = {
      {"{\"s\": ", ""},
      {"[1]", "no JSON object"},
      {"{\"s\": \"\xff\"}", "invalid UTF-8 at byte 7"},
      {"{\"s\": \"" + std::string(kLongestLine, 'a') + "\"}", "at most"},
      {"{\"list\": []}", "'s' is missing"},
      {"{\"s\": 1}", "'s' is no string"},
      {"{\"s\": \"a\", \"list\": \"b\"}", "'list' is no array"},
      {"{\"s\": \"a\", \"list\": [\"b\"]}", "at least 2"},
      {"{\"s\": \"a\", \"list\": [\"b\", 3]}", "no string"},
      {"{\"s\": \"a\", \"list\": [\"b\", \"c\"], \"gold\": \"1\"}", "no whole number"},
      {"{\"s\": \"a\", \"list\": [\"b\", \"c\"], \"gold\": 2}", "'gold' is 2, there are 2 choices"},
      {"{\"s\": \"a\", \"list\": [\"b\", \"c\"], \"gold\": -1}", "'gold' is -1"},
  };
  for (const auto& [line, why] : cases) {
    const std::string text = failure(kGood + line + "\n");
    EXPECT_NE(text.find("a.jsonl:2"), std::string::npos) << text;
    EXPECT_NE(text.find(why), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace quamba2
