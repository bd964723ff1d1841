// SPDX-License-Identifier: Apache-2.0
// search, ablation, and the options of quantize that they lead to, on the bundled model.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "run_program.h"

namespace quamba2::cli {
namespace {

using nlohmann::json;

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Little text, so that a quantization takes a second.
std::vector<std::string> small(const std::string& verb, const std::string& output) {
  return {verb, demo(), "-o", output, "--calib-samples", "4", "--calib-window", "64"};
}

std::vector<std::string> small_search(const std::string& output) {
  return with(small("search", output), {"--text", demo_file("eval.txt"), "--window", "64", "--windows", "1",
                                        "--choices", "w4a16,w8a8", "--population", "2", "--generations", "1"});
}

std::string write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

double size_of(const json& point) { return point["weight_bytes"].get<double>(); }

TEST(Search, FindsAListWithinTheBudgetThatQuantizeTakes) {
  const std::string place = scratch(), list = place + "/layers.json";
  const Outcome found = run(with(small_search(list), {"--max-size", "0.4x", "--json"}));
  ASSERT_EQ(found.code, 0) << found.err;
  const json j = json::parse(found.out);
  EXPECT_EQ(j, json::parse(slurp(list)));
  EXPECT_FALSE(std::filesystem::exists(list + ".partial"));
  const double budget = 0.4 * json::parse(run({"inspect", demo(), "--json"}).out)["bf16_bytes"].get<double>();
  EXPECT_LE(size_of(j["best"]), budget);
  EXPECT_GT(size_of(j["best"]), size_of(j["uniform"][0]));
  EXPECT_LT(j["best"]["mean_kl"], j["uniform"][0]["mean_kl"]);
  for (size_t i = 1; i < j["front"].size(); ++i) {
    EXPECT_LT(j["front"][i]["mean_kl"], j["front"][i - 1]["mean_kl"]);
    EXPECT_GT(size_of(j["front"][i]), size_of(j["front"][i - 1]));
  }
  const Outcome made = run(with(small("quantize", place + "/out"), {"-r", "w4ax", "--layers", list}));
  ASSERT_EQ(made.code, 0) << made.err;
  const json inspected = json::parse(run({"inspect", place + "/out", "--json"}).out);
  EXPECT_EQ(inspected["recipe"], "w4ax");
  EXPECT_EQ(inspected["weight_bytes"].get<double>(), size_of(j["best"]));
}

TEST(Search, WantsOneBudgetThatCanBeMet) {
  const std::string list = scratch() + "/layers.json";
  EXPECT_NE(run(small_search(list)).err.find("no budget"), std::string::npos);
  EXPECT_NE(run(with(small_search(list), {"--max-size", "9MB", "--min-decode", "1"})).err.find("more than one budget"),
            std::string::npos);
  EXPECT_NE(run(with(small_search(list), {"--max-size", "few"})).err.find("bad size"), std::string::npos);
  const Outcome tight = run(with(small_search(list), {"--max-size", "0.01x"}));
  EXPECT_EQ(tight.code, 2);
  EXPECT_NE(tight.err.find("the budget cannot be met"), std::string::npos) << tight.err;
  EXPECT_FALSE(std::filesystem::exists(list));
}

TEST(Layers, BadListsAreNamed) {
  const std::string place = scratch();
  const auto said = [&](const std::string& text) {
    const Outcome o =
        run(with(small("quantize", place + "/out"), {"-r", "w4ax", "--layers", write(place + "/list", text)}));
    EXPECT_EQ(o.code, 2) << o.err;
    return o.err;
  };
  EXPECT_NE(said("[\"w4a8\"]").find("it has 1 entries, the model has 12 layers"), std::string::npos);
  EXPECT_NE(said("{\"best\": 3}").find("it holds no list"), std::string::npos);
  EXPECT_NE(said("[1]").find("entry 0 is no text"), std::string::npos);
  EXPECT_NE(said("w4a8").find("no list of layers"), std::string::npos);
  EXPECT_NE(said("[]").find("the list is empty"), std::string::npos);
  std::string list = "[\"w2a2\"";
  for (int i = 1; i < 12; ++i) list += ", \"w4a8\"";
  EXPECT_NE(said(list + "]").find("known are w4a8, w4a16 and w8a8"), std::string::npos);
  const Outcome other =
      run(with(small("quantize", place + "/out"), {"-r", "w8a8", "--layers", write(place + "/list", list + "]")}));
  EXPECT_NE(other.err.find("only w4ax takes one"), std::string::npos) << other.err;
}

TEST(Ablation, RowsLeadFromPlainRoundingToTheDefault) {
  const std::string file = scratch() + "/ablation.json";
  const Outcome outcome = run(with(small("ablation", file), {"-r", "w4a16", "--text", demo_file("eval.txt"), "--window",
                                                             "64", "--windows", "2", "--json"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json j = json::parse(outcome.out);
  ASSERT_EQ(j["rows"].size(), 5u);  // what is of activations has no use here
  EXPECT_EQ(j["rows"][0]["with"].size(), 0u);
  EXPECT_LT(j["rows"][4]["mean_kl"], j["rows"][0]["mean_kl"]);
  const std::string path = scratch() + "/out";
  ASSERT_EQ(run(with(small("quantize", path), {"-r", "w4a16"})).code, 0);
  EXPECT_EQ(json::parse(run({"inspect", path, "--json"}).out)["weight_bytes"], j["rows"][4]["weight_bytes"]);
}

TEST(Ingredients, AreChosenByName) {
  const std::string place = scratch();
  const auto made = [&](const std::vector<std::string>& options) {
    const Outcome o = run(with(with(small("quantize", place + "/out"), {"-r", "w4a16", "-f", "-q"}), options));
    EXPECT_EQ(o.code, 0) << o.err;
    return slurp(place + "/out/model.safetensors");
  };
  const std::string whole = made({});
  EXPECT_NE(made({"--without", "refine"}), whole);
  EXPECT_EQ(made({"--preset", "plain", "--with", "rotate-residual", "--with", "rotate-inner", "--with", "gptq",
                  "--with", "shared-table", "--with", "refine"}),
            whole);
  const Outcome unknown = run(with(small("quantize", place + "/new"), {"-r", "w4a16", "--with", "magic"}));
  EXPECT_NE(unknown.err.find("unknown ingredient magic"), std::string::npos) << unknown.err;
}

// Passes are reported with what they do to outliers: a rotation changes what it turns, and nothing else.
TEST(QuantizationJson, LiesBesideTheWeights) {
  const std::string path = scratch() + "/out";
  ASSERT_EQ(run(with(small("quantize", path), {"-r", "w4a16"})).code, 0);
  const json j = json::parse(slurp(path + "/quantization.json"));
  EXPECT_EQ(j["recipe"], "w4a16");
  int seen = 0;
  for (const json& pass : j["passes"]) {
    for (const json& o : pass.value("outliers", json::array())) {
      const double before = o["before"], after = o["after"];
      const bool turned = pass["pass"] == "rotate_inner" ? o["edge"] == "out_proj" : o["edge"] == "in_proj";
      if (!turned) {
        EXPECT_NEAR(after, before, 1e-3 * before) << pass["part"] << pass["pass"] << o["edge"];
      } else if (pass["pass"] == "rotate_inner") {
        EXPECT_LT(after, before);
        ++seen;
      }
    }
  }
  EXPECT_EQ(seen, 12);
}

TEST(Calibration, JsonLinesAreDocuments) {
  const std::string place = scratch();
  const auto made = [&](const std::string& text) {
    const std::vector<std::string> options = {"-r", "w8a8", "-f", "-q", "--calib", write(place + "/calib", text)};
    const Outcome o = run(with(small("quantize", place + "/out"), options));
    return o.code == 0 ? slurp(place + "/out/model.safetensors") : o.err;
  };
  const std::string prose = slurp(demo_file("calib.txt")).substr(0, 4000);
  const std::string line = json{{"text", prose}}.dump() + "\n";
  EXPECT_EQ(made(line), made(prose));                 // one document: the end-of-text token lies behind the last window
  EXPECT_NE(made(line + line), made(prose + prose));  // two: it lies between them
  EXPECT_NE(made(line + "{\"title\": 1}\n").find("line 2"), std::string::npos);
  EXPECT_NE(made("{\"text\": \"a\"}\n").find("calibration text too short"), std::string::npos);
}

}  // namespace
}  // namespace quamba2::cli
