// SPDX-License-Identifier: Apache-2.0
// What Hugging Face tokenizers makes of hostile texts (tests/oracle/tokenizers_oracle.py), and published vectors.
#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "support/paths.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace quamba2 {
namespace {

using testing::shared_path;
using testing::source_path;
using Ids = std::vector<int32_t>;

Ids ids_of(const Json& value) {
  Ids ids;
  for (const Json& v : value.as_array("ids")) ids.push_back(static_cast<int32_t>(v.as_int("id")));
  return ids;
}

std::vector<Json> read_lines(const std::string& path) {
  std::ifstream in(path);
  std::vector<Json> out;
  for (std::string line; std::getline(in, line);) out.push_back(Json::parse(line, path));
  return out;
}

std::string stream(const std::shared_ptr<const Tokenizer>& tokenizer, const Ids& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (int32_t id : ids) text += decoder.push(id);
  return text + decoder.flush();
}

class Fixture : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = source_path(std::string("tests/data/tokenizers/") + GetParam());
    tokenizer_ = Tokenizer::load(folder_);
    cases_ = read_lines(folder_ + "/cases.jsonl");
    ASSERT_GT(cases_.size(), 300u);
  }
  std::string folder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<Json> cases_;
};

TEST_P(Fixture, EncodesAsTheOracle) {
  for (const Json& c : cases_) {
    const Json* text = c.find("text");
    if (text == nullptr) continue;
    const std::string& t = text->as_string("text");
    const Json& ids = *c.find("ids");
    const auto expected = [&](const char* key) { return ids_of(c.find(key) ? *c.find(key) : ids); };
    EXPECT_EQ(tokenizer_->encode(t), expected("ids")) << c.dump(-1);
    EXPECT_EQ(tokenizer_->encode(t, true), expected("special")) << c.dump(-1);
    EXPECT_EQ(tokenizer_->encode(t, false, false), expected("plain")) << c.dump(-1);
  }
}

TEST_P(Fixture, DecodesAsTheOracle) {
  for (const Json& c : cases_) {
    const Json* random = c.find("decode");
    const Ids ids = ids_of(random ? *random : *c.find("ids"));
    const Json* decoded = c.find("decoded");
    const std::string& expected = (decoded ? decoded : c.find("text"))->as_string("text");
    EXPECT_EQ(tokenizer_->decode(ids), expected) << c.dump(-1);
    EXPECT_EQ(stream(tokenizer_, ids, false), expected) << c.dump(-1);
    if (random == nullptr) continue;
    EXPECT_EQ(tokenizer_->decode(ids, true), c.find("skipped")->as_string("skipped")) << c.dump(-1);
    EXPECT_EQ(stream(tokenizer_, ids, true), c.find("skipped")->as_string("skipped")) << c.dump(-1);
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, Fixture,
                         ::testing::Values("gpt2", "neox", "prefix", "llama3", "falcon", "splits", "llama2",
                                           "metaspace"),
                         [](const auto& style) { return std::string(style.param); });

// The strings of <name>.inp and the ids of <name>.out.
void check_vectors(const std::string& tokenizer_path, const std::string& name) {
  const auto tokenizer = Tokenizer::load(shared_path(tokenizer_path));
  const std::string base = shared_path("data/tokenizers/vectors/" + name + ".inp");
  std::string all = read_file(base);
  std::ifstream out(base.substr(0, base.size() - 4) + ".out");
  const std::string separator = "\n__ggml_vocab_test__\n";
  int count = 0;
  ASSERT_TRUE(all.ends_with(separator));  // an empty string comes last, and its line of ids is empty too
  for (size_t at = 0; at <= all.size(); ++count) {
    const size_t end = std::min(all.find(separator, at), all.size());
    const std::string text = all.substr(at, end - at);
    at = end + separator.size();
    std::string line;
    ASSERT_TRUE(std::getline(out, line) || text.empty()) << "more strings than ids";
    std::istringstream numbers(line);
    Ids expected;
    for (int32_t id = 0; numbers >> id;) expected.push_back(id);
    EXPECT_EQ(tokenizer->encode(text), expected) << "[" << text << "]";
    EXPECT_EQ(stream(tokenizer, expected, false), tokenizer->decode(expected));
  }
  EXPECT_EQ(count, 47);
}

TEST(Vectors, GptNeox) {
  QUAMBA2_NEEDS_SHARED("data/tokenizers/vectors");
  check_vectors("data/tokenizers/gpt-neox-20b", "ggml-vocab-mpt.gguf");
}

TEST(Vectors, Llama2) {
  QUAMBA2_NEEDS_SHARED("data/tokenizers/vectors");
  check_vectors("data/tokenizers/llama2-spm", "ggml-vocab-llama-spm.gguf");
}

// The bundled model: the ids that its reference perplexity was computed on.
TEST(Vectors, DemoModel) {
  const std::string folder = source_path("models/demo");
  const auto tokenizer = Tokenizer::load(folder);
  const Json reference = Json::parse(read_file(folder + "/reference.json"), "reference.json");
  int checked = 0;
  for (const Json& run : reference.find("runs")->as_array("runs")) {
    const std::string name = run.get("text", "");
    const bool bundled = name.ends_with("/eval.txt");
    const std::string path = bundled ? folder + "/eval.txt" : shared_path(name);
    if (path.empty()) continue;
    const std::string text = read_file(path);
    const Ids ids = tokenizer->encode(text);
    EXPECT_EQ(static_cast<int64_t>(ids.size()), run.get("tokens", 0)) << name;
    const Ids first = ids_of(*run.find("first_window_ids"));
    ASSERT_GT(first.size(), 10u);
    EXPECT_EQ(Ids(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(first.size())), first) << name;
    EXPECT_EQ(tokenizer->decode(ids), text) << name;
    checked += bundled;
  }
  EXPECT_EQ(checked, 1);
  EXPECT_EQ(tokenizer->vocab_size(), 8192);
  EXPECT_EQ(tokenizer->eos_id(), 0);
}

}  // namespace
}  // namespace quamba2
