// SPDX-License-Identifier: Apache-2.0
#include "report/models.h"

#include <gtest/gtest.h>

#include <cmath>

namespace quamba2::report {
namespace {

ComparedModel compared(const std::string& model, double kl) {
  ComparedModel out;
  out.model = model;
  out.recipe = "w4a8";
  out.weight_bytes = 40;
  out.mean_kl = kl;
  return out;
}

Comparison comparison(const std::string& text, const std::vector<ComparedModel>& others) {
  Comparison out;
  out.text = text;
  out.window = 2048;
  out.a.model = "models/m";
  out.a.weight_bytes = 100;
  out.others = others;
  return out;
}

BenchRow bench(const std::string& model, const std::string& test, double threads, double tokens) {
  BenchRow out;
  out.model = model;
  out.test = test;
  out.threads = threads;
  out.batch = 1;
  out.tokens_per_second = tokens;
  return out;
}

const ModelRow& row_of(const ModelTable& table, const std::string& name) {
  for (const ModelRow& row : table.rows) {
    if (row.name == name) return row;
  }
  ADD_FAILURE() << "no row " << name;
  return table.rows.at(0);
}

TEST(Models, JoinsByTheLastComponentOfThePath) {
  Documents d;
  d.comparisons = {comparison("eval.txt", {compared("out/m-w4a8/", 0.01)})};
  Quantization q;
  q.model = "elsewhere/m";
  q.output = "m-w4a8";
  q.recipe = "w4a8";
  q.preset = "paper";
  q.bytes_after = 41;
  d.quantizations = {q};
  d.bench = {bench("m-w4a8", "pp512", 2, 50), bench("m-w4a8", "tg128", 2, 5)};
  const ModelTable table = join_models(d);
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_TRUE(table.rows[0].reference);
  EXPECT_EQ(table.rows[0].text, "eval.txt, windows of 2,048");
  const ModelRow& row = row_of(table, "m-w4a8");
  EXPECT_EQ(row.recipe, "w4a8, paper");
  EXPECT_EQ(row.weight_bytes, 40);  // what was compared is nearer to the truth than what was written once
  EXPECT_EQ(row.prefill, 50);
  EXPECT_EQ(row.decode, 5);
  EXPECT_EQ(table.prefill_setting, "pp512, 2 threads");
}

TEST(Models, ModelsWithoutAComparisonHaveRowsToo) {
  Documents d;
  Quantization q;
  q.model = "m";
  q.output = "m-w8a8";
  q.recipe = "w8a8";
  q.preset = "default";
  q.bytes_before = 100;
  q.bytes_after = 50;
  d.quantizations = {q};
  d.bench = {bench("other", "tg128", 1, 5)};
  const ModelTable table = join_models(d);
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(row_of(table, "m").weight_bytes, 100);
  EXPECT_EQ(row_of(table, "m-w8a8").recipe, "w8a8");
  EXPECT_EQ(row_of(table, "other").decode, 5);
  EXPECT_EQ(table.prefill_setting, "");
}

TEST(Models, TextsAreKeptApartAndRepetitionsTogether) {
  Documents d;
  d.comparisons = {comparison("a.txt", {compared("x", 0.1)}), comparison("b.txt", {compared("x", 0.2)}),
                   comparison("a.txt", {compared("x", 0.3), compared("y", 0.4)})};
  const ModelTable table = join_models(d);
  ASSERT_EQ(table.rows.size(), 5u);  // m, x, y on a.txt; m, x on b.txt
  EXPECT_EQ(row_of(table, "x").mean_kl, 0.3);
  EXPECT_EQ(table.series.find("x"), 0u);
  EXPECT_EQ(table.series.find("y"), 1u);
  EXPECT_EQ(table.series.find("unknown"), 2u);
}

TEST(Models, SpeedsAreOfTheSettingThatMostModelsHave) {
  Documents d;
  d.bench = {bench("a", "tg128", 1, 10), bench("a", "tg128", 2, 19), bench("b", "tg128", 2, 30),
             bench("b", "tg8", 2, 40)};
  d.bench.push_back(bench("c", "tg128", 2, 50));
  d.bench.back().batch = 4;
  const ModelTable table = join_models(d);
  EXPECT_EQ(table.decode_setting, "tg128, 2 threads");
  EXPECT_EQ(row_of(table, "a").decode, 19);
  EXPECT_EQ(row_of(table, "b").decode, 30);
  EXPECT_TRUE(std::isnan(row_of(table, "c").decode));
  d.bench[1].machine = "another";
  EXPECT_EQ(join_models(d).decode_setting, "tg128, 1 thread");  // now no setting has two models: the first
}

TEST(Models, ShortNames) {
  EXPECT_EQ(short_name("mamba2-67m-w4a16", "mamba2-67m"), "w4a16");
  EXPECT_EQ(short_name("mamba2-67m", "mamba2-67m"), "mamba2-67m");
  EXPECT_EQ(short_name("mamba2-67mx", "mamba2-67m"), "mamba2-67mx");
  EXPECT_EQ(short_name("other-w4a16", "mamba2-67m"), "other-w4a16");
}

}  // namespace
}  // namespace quamba2::report
