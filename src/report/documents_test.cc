// SPDX-License-Identifier: Apache-2.0
#include "report/documents.h"

#include <gtest/gtest.h>

#include <cmath>

#include "quamba2/error.h"

namespace quamba2::report {
namespace {

Documents read(const std::string& json) {
  Documents out;
  add_document("a.json", json, &out);
  return out;
}

// What is said of a document that is refused; empty where it is not.
std::string said(const std::string& json) {
  try {
    read(json);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kModelFile);
    return e.what();
  }
  return "";
}

void expect_said(const std::string& json, const std::vector<std::string>& parts) {
  const std::string message = said(json);
  for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << json << "\n" << message;
}

TEST(Documents, Quantization) {
  const Documents d = read(R"({"kind":"quantization","model":"m","output":"o/m-w4a8","recipe":"w4a8","preset":"paper",
    "bytes_before":10,"bytes_after":4,"passes":[
      {"part":"layer 3","pass":"hadamard","seconds":0.5,"detail":"moved","outliers":[{"edge":"in","before":9,"after":3}]},
      {"part":"layer 3","pass":"finished","seconds":0.1,"detail":"","relative_error":0.02},
      {"part":"head","pass":"round","seconds":1}]})");
  ASSERT_EQ(d.quantizations.size(), 1u);
  const Quantization& q = d.quantizations[0];
  EXPECT_EQ(q.preset, "paper");
  EXPECT_EQ(q.bytes_after, 4);
  ASSERT_EQ(q.passes.size(), 3u);
  EXPECT_EQ(q.passes[0].layer, 3);
  EXPECT_EQ(q.passes[0].outliers.at(0).edge, "in");
  EXPECT_EQ(q.passes[0].outliers.at(0).after, 3);
  EXPECT_TRUE(std::isnan(q.passes[0].relative_error));
  EXPECT_EQ(q.passes[1].relative_error, 0.02);
  EXPECT_EQ(q.passes[2].layer, -1);
  EXPECT_EQ(d.sources.at(0).kind, "quantization");
}

TEST(Documents, TheResultOfAQuantizationHasAName) {
  const auto name = [](const std::string& file, const std::string& rest) {
    Documents d;
    add_document(file, R"({"kind":"quantization","model":"models/m")" + rest + "}", &d);
    return result_name(d.quantizations.at(0));
  };
  EXPECT_EQ(name("a.json", R"(,"output":"out/m-w4a8/")"), "m-w4a8");
  EXPECT_EQ(name("out/small/quantization.json", R"(,"recipe":"w4a8")"), "small");
  EXPECT_EQ(name("out/small/quantization.json", R"(,"output":"m-w4a8")"), "m-w4a8");
  EXPECT_EQ(name("./quantization.json", R"(,"recipe":"w4a8")"), "m-w4a8");
  EXPECT_EQ(name("../quantization.json", R"(,"recipe":"w4a8")"), "m-w4a8");
  EXPECT_EQ(name("a.json", ""), "m quantized");
}

TEST(Documents, LayersAreNumbersOfFewDigits) {
  for (const auto& [part, layer] : std::vector<std::pair<std::string, int>>{{"layer 0", 0},
                                                                            {"layer 9999", 9999},
                                                                            {"layer 10000", -1},
                                                                            {"layer 99999999999", -1},
                                                                            {"layer -1", -1},
                                                                            {"layer ", -1},
                                                                            {"layer 1x", -1},
                                                                            {"Layer 1", -1}}) {
    const Documents d = read(R"({"kind":"quantization","model":"m","passes":[{"part":")" + part + R"(","pass":"p"}]})");
    EXPECT_EQ(d.quantizations.at(0).passes.at(0).layer, layer) << part;
  }
}

TEST(Documents, ComparisonWithNulls) {
  const Documents d = read(R"({"kind":"comparison","text":"t","window":64,"max_ppl_increase":null,
    "a":{"model":"m","recipe":"","weight_bytes":100,"of_bf16":1,"perplexity":null},
    "others":[{"model":"m-w8a8","mean_kl":-1e-9,"same_top_token":1,"passed":true}]})");
  ASSERT_EQ(d.comparisons.size(), 1u);
  EXPECT_TRUE(std::isnan(d.comparisons[0].a.perplexity));
  EXPECT_EQ(d.comparisons[0].a.weight_bytes, 100);
  ASSERT_EQ(d.comparisons[0].others.size(), 1u);
  EXPECT_EQ(d.comparisons[0].others[0].mean_kl, -1e-9);
  EXPECT_TRUE(std::isnan(d.comparisons[0].others[0].kl_max));
}

TEST(Documents, BenchBareAndAsAnObject) {
  const std::string row = R"({"model":"m","test":"pp512","threads":2,"batch":1,"tokens_per_second":12.5})";
  for (const std::string& json :
       {"[" + row + "," + row + "]", "{\"kind\":\"bench\",\"rows\":[" + row + "," + row + "]}"}) {
    const Documents d = read(json);
    ASSERT_EQ(d.bench.size(), 2u);
    EXPECT_EQ(d.bench[1].tokens_per_second, 12.5);
    EXPECT_EQ(d.sources.at(0).kind, "bench");
  }
}

TEST(Documents, SearchAndAblation) {
  const Documents d = read(R"({"kind":"search","model":"m","budget":"decode","limit":20,"choices":["a","b"],
    "best":{"name":"x","layers":["a","b"],"mean_kl":0.1},"uniform":[{"name":"a","decode_tokens_per_second":0}],"front":[{"layers":["b","b"]},{}]})");
  ASSERT_EQ(d.searches.size(), 1u);
  EXPECT_EQ(d.searches[0].best.layers, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(d.searches[0].front.size(), 2u);
  EXPECT_TRUE(std::isnan(d.searches[0].uniform.at(0).decode_tokens_per_second));
  const Documents e = read(R"({"kind":"ablation","rows":[{"name":"no gptq","mean_kl":0.1,"layer_error":0.2}]})");
  EXPECT_EQ(e.ablations.at(0).rows.at(0).layer_error, 0.2);
}

TEST(Documents, RefusalsSayWhereAndWhy) {
  expect_said("{", {"a.json", "invalid JSON"});
  expect_said("[]", {"a.json", "tokens_per_second"});
  expect_said("[1]", {"a.json: [0]", "an object is expected here, not a number"});
  expect_said("[{\"model\":\"m\"}]", {"a.json", "tokens_per_second"});
  expect_said("17", {"a.json", "an object is expected here, not a number"});
  expect_said("{}", {"it has no kind", "quantization, comparison, bench, search, ablation"});
  expect_said(R"({"kind":"poem"})", {"unknown kind 'poem'", "known are quantization, comparison, bench"});
  expect_said(R"({"kind":7})", {"a.json: kind", "a string is expected here, not a number"});
  expect_said(R"({"kind":"comparison"})", {"a.json: a", "missing", "--json"});
  expect_said(R"({"kind":"comparison","a":{"model":"m"},"others":[{"model":"n"},{"model":"o","mean_kl":"x"}]})",
              {"a.json: others[1].mean_kl", "a number is expected here, not a string"});
  expect_said(R"({"kind":"comparison","a":{"model":"m","perplexity":Infinity}})", {"a.perplexity", "not finite"});
  expect_said(R"({"kind":"comparison","a":{"model":"m","mean_kl":NaN}})", {"a.mean_kl", "not finite"});
  expect_said(R"({"kind":"comparison","a":{"model":"m","weight_bytes":-1}})", {"a.weight_bytes", "-1 is outside"});
  expect_said(R"({"kind":"comparison","a":{"model":"m","weight_bytes":1e300}})",
              {"a.weight_bytes", "1e+300 is outside"});
  expect_said(R"({"kind":"comparison","a":{"model":"m","same_top_token":1.5}})", {"a.same_top_token", "0 to 1"});
  expect_said(R"({"kind":"comparison","a":{"model":""}})", {"a.model", "missing or empty"});
  expect_said(R"({"kind":"comparison","a":[]})", {"a.json: a", "an object is expected here, not a list"});
  expect_said(R"({"kind":"search","budget":"money","best":{}})", {"a.json: budget", "'money'"});
  expect_said(R"({"kind":"search","budget":"size","best":{"layers":["a",1]}})", {"a.json: best.layers[1]"});
  expect_said(R"({"kind":"quantization","passes":[]})", {"neither model nor output"});
  expect_said(R"({"kind":"quantization","model":"m","passes":[{"part":"head"}]})",
              {"a.json: passes[0].pass", "missing"});
  expect_said(R"({"kind":"ablation","rows":{}})", {"a.json: rows", "a list is expected here, not an object"});
}

TEST(Documents, ListsAndTextsHaveBounds) {
  std::string many = R"({"kind":"ablation","rows":[{"name":"x"})";
  for (int i = 0; i < 10000; ++i) many += ",{}";
  expect_said(many + "]}", {"a.json: rows", "a list of 10001 entries"});
  expect_said(R"({"kind":"ablation","model":")" + std::string(10001, 'x') + "\"}", {"a.json: model", "10000 bytes"});
  EXPECT_EQ(said(R"({"kind":"ablation","model":")" + std::string(10000, 'x') + "\"}"), "");
}

}  // namespace
}  // namespace quamba2::report
