// SPDX-License-Identifier: Apache-2.0
// Texts that pause: they go on with the bits that they would have had, and in no other model.
#include <gtest/gtest.h>

#include "quamba2/quamba2.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

std::string demo() { return testing::source_path("models/demo"); }

const std::string kPrompt = "It was a dark and stormy night, and the captain";

// As another process finds it.
PausedText through_a_file(const PausedText& paused) {
  const std::string path = testing::temporary_directory() + "/state";
  save_state_file(paused, path);
  return load_state_file(path);
}

SamplingOptions sampled(int64_t tokens) {
  SamplingOptions o;
  o.max_tokens = tokens;
  o.temperature = 0.9;
  o.top_p = 0.95;
  o.repetition_penalty = 1.1;
  o.frequency_penalty = 0.2;
  o.seed = 7;
  return o;
}

SamplingOptions with_tokens(SamplingOptions options, int64_t tokens) {
  options.max_tokens = tokens;
  return options;
}

TEST(PausedText, ATextThatPausesGoesOnBitForBit) {
  Engine engine = Engine::load(demo());
  const std::vector<int32_t> prompt = engine.encode_prompt(kPrompt);
  for (const SamplingOptions& all : {SamplingOptions{.max_tokens = 48}, sampled(48)}) {
    const Completion whole = engine.generate({kPrompt}, all)[0];
    for (const int64_t first : {1, 17, 47}) {
      Engine one = Engine::load(demo()), other = Engine::load(demo());
      PausedText paused;
      const Completion a = one.resume(&paused, prompt, with_tokens(all, first));
      paused = through_a_file(paused);
      const Completion b = other.resume(&paused, {}, with_tokens(all, 48 - first));
      std::vector<int32_t> ids = a.ids;
      ids.insert(ids.end(), b.ids.begin(), b.ids.end());
      EXPECT_EQ(ids, whole.ids) << first << " tokens first, temperature " << all.temperature;
      EXPECT_EQ(whole.text.rfind(a.text + b.text, 0), 0u) << a.text << "|" << b.text;
      EXPECT_EQ(paused.ids.size(), prompt.size() + 48);
      EXPECT_EQ(paused.read, static_cast<int64_t>(paused.ids.size()) - 1);
    }
  }
}

// Wherever a prompt is taken apart, its last states and all that follows are the same: nothing is read up to another cut.
TEST(PausedText, APromptInPiecesGivesWhatTheWholeGives) {
  const EngineOptions options{.max_tokens = 16};  // prompts are cut there
  Engine engine = Engine::load(demo(), options);
  const std::vector<int32_t> prompt = engine.encode_prompt(kPrompt + kPrompt + kPrompt + kPrompt);
  ASSERT_GT(prompt.size(), 40u);
  PausedText whole;
  const Completion expected = engine.resume(&whole, prompt, sampled(16));
  for (const size_t first : {size_t{1}, size_t{16}, size_t{17}, size_t{37}, prompt.size() - 1}) {
    PausedText paused;
    engine.resume(&paused, std::span(prompt).first(first), {.max_tokens = 0});
    EXPECT_EQ(paused.read, static_cast<int64_t>((first - 1) / 16 * 16));
    paused = through_a_file(paused);
    const Completion b = engine.resume(&paused, std::span(prompt).subspan(first), sampled(16));
    EXPECT_EQ(b.ids, expected.ids) << first;
    ASSERT_TRUE(paused.state && whole.state);
    EXPECT_EQ(*paused.state, *whole.state) << first;
  }
}

TEST(PausedText, AStoppedTextGoesOn) {
  Engine engine = Engine::load(demo());
  const std::vector<int32_t> prompt = engine.encode_prompt(kPrompt);
  const std::string text = engine.generate({kPrompt}, {.max_tokens = 40})[0].text;
  SamplingOptions options{.max_tokens = 40};
  options.stop = {text.substr(text.size() / 2, 6)};
  PausedText paused;
  const Completion a = engine.resume(&paused, prompt, options);
  ASSERT_EQ(a.finish, FinishReason::kStop);
  const Completion b = engine.resume(&paused, {}, {.max_tokens = 40 - static_cast<int64_t>(a.ids.size())});
  std::vector<int32_t> ids = a.ids;
  ids.insert(ids.end(), b.ids.begin(), b.ids.end());
  EXPECT_EQ(ids, engine.generate({kPrompt}, {.max_tokens = 40})[0].ids);
}

// Half a character is not shown where a text pauses, and comes whole with what follows.
TEST(PausedText, ACutCharacterComesWhole) {
  Engine engine = Engine::load(demo());
  const std::vector<int32_t> pieces = engine.tokenizer().encode("\xe6\xbc\xa2");
  ASSERT_GT(pieces.size(), 1u) << "the tokenizer has a token of its own for it";
  PausedText paused;
  std::string text;
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ(text, "");
    const std::vector<int32_t> prompt = i == 0 ? engine.encode_prompt(kPrompt) : std::vector<int32_t>();
    const Completion c = engine.resume(&paused, prompt, {.max_tokens = 1, .logit_bias = {{pieces[i], 100}}});
    ASSERT_EQ(c.ids, std::vector<int32_t>{pieces[i]});
    text += c.text;
    paused = through_a_file(paused);
  }
  EXPECT_EQ(text, "\xe6\xbc\xa2");
}

TEST(PausedText, CancelledTextsKeepWhatWasSaid) {
  Engine engine = Engine::load(demo());
  const std::vector<int32_t> prompt = engine.encode_prompt(kPrompt);
  const Completion whole = engine.generate({kPrompt}, {.max_tokens = 24})[0];
  PausedText paused;
  int pieces = 0;
  const Completion a =
      engine.resume(&paused, prompt, {.max_tokens = 24}, [&](size_t, std::string_view) { return ++pieces < 5; });
  ASSERT_EQ(a.finish, FinishReason::kCancelled);
  ASSERT_EQ(paused.ids.size(), prompt.size() + a.ids.size());
  const Completion b = engine.resume(&paused, {}, {.max_tokens = 24 - static_cast<int64_t>(a.ids.size())});
  std::vector<int32_t> ids = a.ids;
  ids.insert(ids.end(), b.ids.begin(), b.ids.end());
  EXPECT_EQ(ids, whole.ids);
}

// What the text behind a paused text gives, for what is refused.
std::string refusal(Engine& engine, PausedText paused) {
  const std::vector<int32_t> before = paused.ids;
  try {
    engine.resume(&paused, {}, {.max_tokens = 1});
    return {};
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUsage);
    EXPECT_EQ(paused.ids, before);
    return e.what();
  }
}

TEST(PausedText, OtherModelsAndRecipesAreRefusedByName) {
  Engine engine = Engine::load(demo());
  PausedText paused;
  engine.resume(&paused, engine.encode_prompt(kPrompt), {.max_tokens = 2});
  EXPECT_EQ(refusal(engine, paused), "");
  Model changed = Model::from_pretrained(demo());
  quantize(changed, {.recipe = "w4a16", .skip = {"gptq"}});
  Engine other(changed);
  const std::string said = refusal(other, paused);
  EXPECT_NE(said.find("demo (not quantized)"), std::string::npos) << said;
  EXPECT_NE(said.find("demo (w4a16)"), std::string::npos) << said;
  PausedText theirs;
  other.resume(&theirs, other.encode_prompt(kPrompt), {.max_tokens = 2});
  EXPECT_NE(refusal(engine, theirs).find("demo (w4a16)"), std::string::npos);
}

// A file can be right in itself and hold what no engine wrote.
TEST(PausedText, StatesThatMakeNoSenseAreRefused) {
  Engine engine = Engine::load(demo());
  PausedText good;
  EXPECT_NE(refusal(engine, good), "") << "nothing to go on from";
  engine.resume(&good, engine.encode_prompt(kPrompt), {.max_tokens = 2});
  PausedText bad = good;
  bad.read += 2;
  EXPECT_NE(refusal(engine, bad), "");
  bad = good;
  bad.ids[1] = static_cast<int32_t>(engine.table_rows());
  EXPECT_NE(refusal(engine, bad), "");
  bad = good;
  bad.state = std::make_shared<const std::vector<std::byte>>(3);
  EXPECT_NE(refusal(engine, bad).find("3 bytes"), std::string::npos);
}

}  // namespace
}  // namespace quamba2
