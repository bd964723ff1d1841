// SPDX-License-Identifier: Apache-2.0
// Sessions and growing texts that take turns in one engine: each gives what it gives alone.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>

#include "quamba2/quamba2.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

std::string demo() { return testing::source_path("models/demo"); }

std::vector<int32_t> ids_of(const Engine& engine, const std::string& text) { return engine.tokenizer().encode(text); }

std::vector<int32_t> grow(Generation* text) {
  std::vector<int32_t> ids;
  while (const auto update = text->next()) {
    for (const TokenReport& token : update->tokens) ids.push_back(token.id);
  }
  return ids;
}

TEST(Session, SeveralTakeTurnsAndEachGivesWhatItGivesAlone) {
  Engine engine = Engine::load(demo());
  const std::vector<int32_t> first = ids_of(engine, "It was a dark and"), more = ids_of(engine, " stormy night");
  const std::vector<int32_t> other = ids_of(engine, "The captain went below");
  Session alone(engine);
  alone.read(first);
  alone.read(more);
  const std::vector<float> expected = alone.logits();

  Session a(engine), b(engine);
  GenerationRequest request{first};
  request.sampling.max_tokens = 12;
  Generation text(engine, request);
  a.read(first);
  std::vector<int32_t> grown;
  for (int i = 0; i < 6; ++i) {
    b.read(other);
    const std::optional<GenerationUpdate> update = text.next();
    ASSERT_TRUE(update.has_value());
    for (const TokenReport& token : update->tokens) grown.push_back(token.id);
  }
  a.read(more);
  EXPECT_EQ(a.logits(), expected);
  EXPECT_EQ(a.tokens(), static_cast<int64_t>(first.size() + more.size()));
  EXPECT_EQ(b.tokens(), static_cast<int64_t>(6 * other.size()));
  for (int32_t id : grow(&text)) grown.push_back(id);
  EXPECT_EQ(grown, engine.generate_from_ids({first}, request.sampling)[0].ids);
}

TEST(Session, ASavedStateGoesOnBitForBitInAnotherSession) {
  Engine engine = Engine::load(demo());
  const std::vector<int32_t> first = ids_of(engine, "It was a dark and"), more = ids_of(engine, " stormy night");
  Session a(engine);
  a.read(first);
  const SessionState state = a.save();
  const std::vector<float> before = a.logits();
  a.read(more);
  Session b(engine);
  b.load(state);
  EXPECT_EQ(b.logits(), before);
  EXPECT_EQ(b.tokens(), static_cast<int64_t>(first.size()));
  b.read(more);
  EXPECT_EQ(b.logits(), a.logits());
  SessionState wrong = state;
  wrong.state.pop_back();
  EXPECT_THROW(b.load(wrong), Error);
  b.reset();
  EXPECT_EQ(b.tokens(), 0);
  EXPECT_THROW(b.logits(), Error);
  b.read(first);
  EXPECT_EQ(b.logits(), before);
}

TEST(Session, WorkBySlotNumbersDoesNotDisturbIt) {
  Engine engine = Engine::load(demo());
  const std::vector<int32_t> first = ids_of(engine, "It was a dark and"), more = ids_of(engine, " stormy night");
  Session alone(engine);
  alone.read(first);
  alone.read(more);
  Session a(engine);
  a.read(first);
  engine.reset(0);
  engine.feed(0, more);
  perplexity(engine, "The captain went below, and the mate took the watch until the morning.", {.window = 8});
  engine.generate({"It was"}, {.max_tokens = 3});
  a.read(more);
  EXPECT_EQ(a.logits(), alone.logits());
}

TEST(Session, EveryRowIsWhatReadingUpToThereGives) {
  Engine engine = Engine::load(demo(), {.max_tokens = 5});  // several calls
  const std::vector<int32_t> ids = ids_of(engine, "It was a dark and stormy night, and the captain went below.");
  ASSERT_GT(ids.size(), 10u);
  const auto columns = static_cast<size_t>(engine.table_rows());
  Session all(engine), whole(engine), beginning(engine);
  const std::vector<float> rows = all.read_every(ids);
  ASSERT_EQ(rows.size(), ids.size() * columns);
  whole.read(ids);
  EXPECT_EQ(all.logits(), whole.logits());
  beginning.read(std::span(ids).first(5));
  EXPECT_EQ(std::vector<float>(rows.begin() + static_cast<ptrdiff_t>(4 * columns),
                               rows.begin() + static_cast<ptrdiff_t>(5 * columns)),
            beginning.logits());
}

TEST(Session, AnInterruptLeavesWhatWasRead) {
  Engine engine = Engine::load(demo(), {.max_tokens = 8});
  const std::vector<int32_t> ids(20, 17);
  Session a(engine);
  set_progress_sink([](std::string_view, int64_t done, int64_t) { return done < 8; });
  EXPECT_THROW(a.read(ids), Error);
  set_progress_sink({});
  EXPECT_EQ(a.tokens(), 8);
  EXPECT_THROW(a.logits(), Error);
  a.read(std::span(ids).subspan(8));
  Session b(engine);
  b.read(ids);
  EXPECT_EQ(a.logits(), b.logits());
  EXPECT_THROW(a.read(std::vector<int32_t>{-1}), Error);
}

TEST(Score, IsTheSumOfLogProbabilities) {
  Engine engine = Engine::load(demo());
  const std::vector<int32_t> context = ids_of(engine, "It was a dark and"), rest = ids_of(engine, " stormy night");
  const std::vector<ScoreRequest> requests = {{context, rest}, {context, {rest[0]}}, {context, {rest[1]}}};
  const std::vector<ContinuationScore> scores = score(engine, requests);
  Session session(engine);
  session.read(context);
  double expected = 0;
  for (int32_t id : rest) {
    double sum = 0;
    for (float x : session.logits()) sum += std::exp(static_cast<double>(x));
    expected += session.logits()[static_cast<size_t>(id)] - std::log(sum);
    session.read({&id, 1});
  }
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_NEAR(scores[0].log_likelihood, expected, 1e-4 * std::abs(expected));
  EXPECT_NE(scores[1].log_likelihood, scores[2].log_likelihood);
  const int32_t next = engine.generate_from_ids({context}, {.max_tokens = 1})[0].ids[0];
  EXPECT_TRUE(score(engine, std::vector<ScoreRequest>{{context, {next}}})[0].greedy);
  EXPECT_THROW(score(engine, std::vector<ScoreRequest>{{context, {}}}), Error);
  EXPECT_THROW(score(engine, std::vector<ScoreRequest>{{{1 << 30}, rest}}), Error);
}

}  // namespace
}  // namespace quamba2
