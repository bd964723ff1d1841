// SPDX-License-Identifier: Apache-2.0
// Damaged tokenizer.json files: an Error that says where, never a crash.
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "quamba2/error.h"
#include "support/paths.h"
#include "text/tokenizer.h"

namespace quamba2 {
namespace {

std::string fixture(const std::string& style) {
  return read_file(testing::source_path("tests/data/tokenizers/" + style + "/tokenizer.json"));
}

std::string with(const std::string& member, const std::string& value, const std::string& model = "{}") {
  const std::string vocab = model == "{}" ? R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]})" : model;
  return R"({"model":)" + vocab + (member.empty() ? "" : ",\"" + member + "\":" + value) + "}";
}

std::string model(const std::string& vocab, const std::string& merges, const std::string& more = "") {
  return with("", "", R"({"type":"BPE","vocab":)" + vocab + R"(,"merges":)" + merges + more + "}");
}

void expect_error(const std::string& text, const std::string& needle) {
  try {
    Tokenizer::from_json(text, "bad.json");
    FAIL() << "accepted: " << text;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kModelFile) << text;
    EXPECT_NE(std::string(e.what()).find(needle), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("bad.json"), std::string::npos) << e.what();
  }
}

TEST(TokenizerJson, MinimalFile) {
  const auto t = Tokenizer::from_json(with("", ""), "good.json");
  EXPECT_EQ(t->encode("abba"), (std::vector<int32_t>{2, 1, 0}));
  EXPECT_EQ(t->vocab_size(), 3);
  EXPECT_EQ(t->eos_id(), std::nullopt);
}

TEST(TokenizerJson, WrongShapes) {
  expect_error("", "bad.json");
  expect_error("[]", "object");
  expect_error("12", "object");
  expect_error("{}", "model");
  expect_error(R"({"model":[]})", "object");
  expect_error(R"({"model":{"type":"BPE"}})", "vocab");
  expect_error(R"({"model":{"type":"Unigram","vocab":[]}})", "Unigram");
  expect_error(model("[]", "[]"), "vocab");
  expect_error(model("{}", "{}"), "merges");
  expect_error(fixture("gpt2").substr(0, 5000), "bad.json");
}

TEST(TokenizerJson, WrongIds) {
  expect_error(model(R"({"a":-1})", "[]"), "-1");
  expect_error(model(R"({"a":1e18})", "[]"), "bad.json");
  expect_error(model(R"({"a":4294967296})", "[]"), "4294967296");
  expect_error(model(R"({"a":2000000000})", "[]"), "2000000000");
  expect_error(model(R"({"a":0.5})", "[]"), "bad.json");
  expect_error(model(R"({"a":"0"})", "[]"), "bad.json");
  expect_error(model(R"({"a":0,"b":0})", "[]"), "both");
  expect_error(model(R"({"a":0,"a":1})", "[]"), "twice");
}

TEST(TokenizerJson, WrongMerges) {
  expect_error(model(R"({"a":0,"b":1})", R"(["a b"])"), "\"ab\"");
  expect_error(model(R"({"a":0,"ac":1})", R"(["a c"])"), "\"c\"");
  expect_error(model(R"({"a":0})", R"(["aa"])"), "merge");
  expect_error(model(R"({"a":0})", R"([["a"]])"), "merge");
  expect_error(model(R"({"a":0})", R"([["a",1]])"), "bad.json");
  expect_error(model(R"({"a":0})", "[7]"), "merge");
  expect_error(model(R"({"a":0})", "[]", R"(,"unk_token":"x")"), "unk_token");
  expect_error(model(R"({"a":0})", "[]", R"(,"unk_token":5)"), "unk_token");
}

TEST(TokenizerJson, WrongAddedTokens) {
  expect_error(with("added_tokens", R"([{"id":1,"content":"a"}])"), "vocabulary");
  expect_error(with("added_tokens", R"([{"id":1,"content":"x"}])"), "\"b\"");
  expect_error(with("added_tokens", R"([{"id":7,"content":"x"},{"id":7,"content":"y"}])"), "\"x\"");
  expect_error(with("added_tokens", R"([{"id":7,"content":"x"},{"id":8,"content":"x"}])"), "before");
  expect_error(with("added_tokens", R"([{"id":-7,"content":"x"}])"), "-7");
  expect_error(with("added_tokens", R"([{"id":999999999,"content":"x"}])"), "999999999");
  expect_error(with("added_tokens", R"([{"content":"x"}])"), "id");
  expect_error(with("added_tokens", "{}"), "added_tokens");
  expect_error(with("added_tokens", "[1]"), "added_tokens");
}

TEST(TokenizerJson, UnknownParts) {
  expect_error(with("normalizer", R"({"type":"Precompiled"})"), "Precompiled");
  expect_error(with("normalizer", R"({"type":"Sequence","normalizers":[{"type":"Nope"}]})"), "Nope");
  expect_error(with("normalizer", R"({"type":"Sequence"})"), "normalizers");
  expect_error(with("pre_tokenizer", R"({"type":"UnicodeScripts"})"), "UnicodeScripts");
  expect_error(with("pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"})"), "bad.json");
  expect_error(with("pre_tokenizer", R"({"type":"Split","pattern":{"String":"x"},"behavior":"Never"})"), "Never");
  expect_error(with("pre_tokenizer", R"({"type":"Split","pattern":7,"behavior":"Isolated"})"), "pattern");
  expect_error(with("pre_tokenizer", "7"), "pre_tokenizer");
  expect_error(with("decoder", R"({"type":"CTC"})"), "CTC");
  expect_error(with("decoder", R"({"type":"Strip","content":"ab","start":1,"stop":0})"), "Strip");
  expect_error(with("post_processor", R"({"type":"Magic"})"), "Magic");
  expect_error(with("post_processor", R"({"type":"TemplateProcessing","single":[],"special_tokens":{}})"), "single");
  expect_error(with("post_processor", R"({"type":"TemplateProcessing","special_tokens":{},
      "single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}]})"),
               "x");
}

TEST(TokenizerJson, DeepNestingIsRefused) {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += R"({"type":"Sequence","normalizers":[)";
  expect_error(with("normalizer", deep), "nested");
}

// A post-processor may name an id outside of the vocabulary, cyclic merges are no cycle: rank and text both end it.
TEST(TokenizerJson, HarmlessNonsense) {
  const auto t = Tokenizer::from_json(model(R"({"a":0,"aa":1,"aaaa":2})", R"(["a a","aa aa","a a"])"), "odd.json");
  EXPECT_EQ(t->decode(t->encode(std::string(9, 'a'))), "aaaa aaaa a") << "no decoder: tokens joined by spaces";
  EXPECT_EQ(t->decode({-5, 0, 3, 1 << 30}), "a");
}

TEST(TokenizerJson, DamagedBytesNeverCrash) {
  Random random(5);
  for (const char* style : {"llama3", "falcon", "llama2", "splits"}) {
    const std::string good = fixture(style);
    for (int i = 0; i < 150; ++i) {
      std::string bad = good;
      for (int64_t n = 1 + random.below(4); n > 0; --n) {
        // The head holds the interesting parts, the vocabulary the most bytes.
        const int64_t span = random.below(2) ? static_cast<int64_t>(bad.size()) : 2500;
        const auto at = static_cast<size_t>(random.below(span));
        if (random.below(2)) {
          bad[at] = static_cast<char>("0123456789{}[]\",:abtfn-"[random.below(23)]);
        } else {
          bad.erase(at, static_cast<size_t>(1 + random.below(9)));
        }
      }
      try {
        const auto t = Tokenizer::from_json(bad, "damaged");
        t->decode(t->encode("Hello, world! 123 <s>\n", true));
      } catch (const Error&) {}
    }
  }
}

}  // namespace
}  // namespace quamba2
