// SPDX-License-Identifier: Apache-2.0
// The parts of the program that are no verbs.
#include <gtest/gtest.h>
#include <sched.h>

#include "affinity.h"
#include "json.h"
#include "number_list.h"
#include "progress.h"
#include "quamba2/error.h"
#include "suggest.h"
#include "table.h"
#include "terminal.h"
#include "units.h"

namespace quamba2::cli {
namespace {

TEST(Units, ReadAsPeopleWriteThem) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(14700000), "14.7 MB");
  EXPECT_EQ(binary_bytes(1642825000), "1.53 GiB");
  EXPECT_EQ(human_count(7700000), "7.70 M");
  EXPECT_EQ(human_count(12), "12");
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(grouped(123456), "123,456");
  EXPECT_EQ(human_seconds(0.354), "0.35 s");
  EXPECT_EQ(human_seconds(187), "3:07");
  EXPECT_EQ(human_seconds(3765), "1:02:45");
  EXPECT_EQ(three_digits(0.01234), "0.0123");
  EXPECT_EQ(three_digits(99.96), "100");
  EXPECT_EQ(three_digits(0), "0.00");
}

TEST(NumberList, ListsAndRanges) {
  EXPECT_EQ(parse_number_list("1,4", "-b"), (std::vector<int64_t>{1, 4}));
  EXPECT_EQ(parse_number_list("2-4,9", "-b"), (std::vector<int64_t>{2, 3, 4, 9}));
  EXPECT_EQ(parse_number_list("1-8*2", "-b"), (std::vector<int64_t>{1, 2, 4, 8}));
  EXPECT_EQ(parse_number_list("2-9+3", "-b"), (std::vector<int64_t>{2, 5, 8}));
  for (const char* bad : {"", "a", "3-1", "0-4*2", "1-4*1", "1-2000", "1,,2"}) {
    EXPECT_THROW(parse_number_list(bad, "-b"), Error) << bad;
  }
}

TEST(Affinity, KeepsTheThreadOnTheProcessorsGiven) {
  cpu_set_t before, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  use_processors(std::to_string(first));
  ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
  EXPECT_EQ(CPU_COUNT(&after), 1);
  EXPECT_TRUE(CPU_ISSET(first, &after));
  EXPECT_THROW(use_processors("1000"), Error);
  EXPECT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  use_processors("");
}

TEST(Suggest, NearestWord) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("w4a61", "w4a16"), 1u);  // a swap counts once
  const std::vector<std::string> known = {"inspect", "quantize", "generate"};
  EXPECT_EQ(nearest("quantise", known), "quantize");
  EXPECT_EQ(nearest("gen", known), "generate");
  EXPECT_EQ(nearest("xyz", known), "");
  EXPECT_EQ(listed({"a", "b", "c"}), "a, b or c");
}

TEST(Table, Forms) {
  Table table;
  table.column("name");
  table.column("t/s", Align::kRight);
  table.row({"é", "1"});
  table.row({"a, \"b\"", "12.3"});
  EXPECT_EQ(table.aligned(false), "name     t/s\né          1\na, \"b\"  12.3\n");
  EXPECT_EQ(table.markdown(), "| name   |  t/s |\n| ------ | ---: |\n| é      |    1 |\n| a, \"b\" | 12.3 |\n");
  EXPECT_EQ(table.csv(), "name,t/s\né,1\n\"a, \"\"b\"\"\",12.3\n");
}

TEST(Json, NestsAndEscapes) {
  Json json;
  json.open_object().field("a", 1).key("b").open_array().value(true).value(0.5).close();
  json.field("c", std::vector<int32_t>{1, 2}).field("d", "x\"\\\n\x01é\xff\xe2\x82").field("e", 0.0 / 0.0).close();
  EXPECT_EQ(json.text(),
            "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    0.5\n  ],\n  \"c\": [1, 2],\n"
            "  \"d\": \"x\\\"\\\\\\n\\u0001é\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\",\n  \"e\": null\n}\n");
  EXPECT_EQ(Json(true).open_object().field("a", "b").field("c", 1).close().text(), "{\"a\": \"b\", \"c\": 1}\n");
}

TEST(Progress, LineFitsTheScreen) {
  for (int columns = 1; columns < 120; ++columns) {
    for (const int64_t done : {0, 1, 50, 99, 100}) {
      const std::string line = progress_line("calibraté", done, 100, 2.5, columns, true);
      EXPECT_LE(display_width(line), static_cast<size_t>(std::max(1, columns - 1))) << line;
    }
  }
  EXPECT_EQ(progress_line("read", 1, 4, 2, 200, false), "read  25 %  1/4  0.5/s  ETA 6.00 s");
  EXPECT_EQ(progress_line("read", 3, 0, 1, 200, true), "read  3  3.00/s");
  EXPECT_EQ(progress_line("read", 4, 4, 2, 40, true).substr(0, 6), "read [");
}

TEST(Terminal, ColourIsAskedFor) {
  EXPECT_TRUE(look_at_terminal("always").output_colour);
  EXPECT_FALSE(look_at_terminal("never").error_colour);
  EXPECT_EQ(styled(false, Style::kBold, "a"), "a");
  EXPECT_EQ(styled(true, Style::kBold, "a"), "\033[1ma\033[0m");
  EXPECT_EQ(display_width("é漢a"), 3u);
}

}  // namespace
}  // namespace quamba2::cli
