// SPDX-License-Identifier: Apache-2.0
// Continuous batching: what a request gets does not depend on who else is there, and everybody is served.
#include "runtime/scheduler.h"

#include <cmath>
#include <map>

#include "api/load_model.h"
#include "quant/pipeline.h"
#include "quant/recipe.h"
#include "support/model_runs.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

constexpr int32_t kChunk = 8, kSlots = 4;

ModelData quantized(const std::string& recipe) {
  const ModelData source = load_model(testing::source_path("tests/golden/mamba2-hf"));
  if (recipe.empty()) return load_model(testing::source_path("tests/golden/mamba2-hf"));
  Calibration calibration(make_cpu_backend(1), {testing::random_ids(64, source.vocab_size, 1)});
  const Recipe made = find_recipe(recipe).make({}, source);
  return assemble(run_recipe(made, source, &calibration, {}), source.config, source.directory);
}

struct Bench {
  explicit Bench(const std::string& recipe = "", StepSink on_step = {}, uint64_t cache_bytes = 0)
      : data(quantized(recipe)),
        executor(data.graph, make_cpu_backend(2),
                 {.max_tokens = kChunk + kSlots, .max_selected = 3, .max_sequences = kSlots}),
        model{&executor, nullptr, data.vocab_size, {}},
        scheduler(model, {kChunk, false, cache_bytes, std::move(on_step)}) {}

  ModelData data;
  Executor executor;
  GeneratorModel model;
  Scheduler scheduler;
};

struct Heard {
  std::vector<TokenReport> prompt, tokens;
  bool finished = false;
  FinishReason finish = FinishReason::kLength;
  std::optional<Error> error;
  GenerationUsage usage;
};

GenerationSink into(Heard* heard) {
  return [heard](GenerationUpdate&& update) {
    EXPECT_FALSE(heard->finished) << "nothing comes after the end";
    for (TokenReport& t : update.prompt_tokens) heard->prompt.push_back(std::move(t));
    for (TokenReport& t : update.tokens) heard->tokens.push_back(std::move(t));
    heard->finished = update.finished;
    heard->finish = update.finish;
    heard->error = update.error;
    heard->usage = update.usage;
    return true;
  };
}

GenerationRequest request(int64_t prompt, int64_t tokens, int64_t vocabulary, uint64_t seed) {
  GenerationRequest r;
  r.prompt = testing::random_ids(prompt, vocabulary, seed);
  r.sampling.max_tokens = tokens;
  r.sampling.temperature = seed % 2 == 0 ? 0 : 1;
  r.sampling.seed = seed;
  r.logprobs = 2;
  if (seed % 3 == 0) r.prompt_logprobs = 1;
  return r;
}

void expect_same(const std::vector<TokenReport>& a, const std::vector<TokenReport>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].id, b[i].id);
    if (!std::isnan(a[i].log_probability)) {
      EXPECT_EQ(a[i].log_probability, b[i].log_probability);
    }
    ASSERT_EQ(a[i].top.size(), b[i].top.size());
    for (size_t k = 0; k < a[i].top.size(); ++k) EXPECT_EQ(a[i].top[k].id, b[i].top[k].id);
  }
}

class Batching : public ::testing::TestWithParam<const char*> {};

// Bit for bit: not only the tokens but every log-probability.
TEST_P(Batching, GivesWhatEachRequestGetsAlone) {
  Bench together(GetParam()), alone(GetParam());
  Random random(5);
  std::vector<GenerationRequest> requests;
  for (uint64_t i = 0; i < 14; ++i)
    requests.push_back(request(1 + random.below(40), 1 + random.below(12), together.data.vocab_size, i));
  std::vector<Heard> many(requests.size()), single(requests.size());
  size_t added = 0;
  do {  // some join while others run
    while (added < requests.size() && random.uniform() < 0.4) {
      together.scheduler.add(added, requests[added], into(&many[added]));
      ++added;
    }
  } while (together.scheduler.step() || added < requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    alone.scheduler.add(i, requests[i], into(&single[i]));
    while (alone.scheduler.step()) {}
    ASSERT_TRUE(many[i].finished && single[i].finished);
    EXPECT_EQ(many[i].tokens.size(), static_cast<size_t>(requests[i].sampling.max_tokens));
    expect_same(many[i].tokens, single[i].tokens);
    expect_same(many[i].prompt, single[i].prompt);
    EXPECT_EQ(many[i].prompt.size(), requests[i].prompt_logprobs < 0 ? 0 : requests[i].prompt.size());
  }
}

// Prompts with common beginnings: what was read once is not read again, and not a bit changes.
TEST_P(Batching, KeptStatesGiveTheSameBits) {
  Bench kept(GetParam(), {}, 1 << 24), afresh(GetParam());
  const std::vector<int32_t> shared = testing::random_ids(3 * kChunk + 3, kept.data.vocab_size, 1);
  for (uint64_t i = 0; i < 8; ++i) {
    GenerationRequest r = request(5 + static_cast<int64_t>(i), 6, kept.data.vocab_size, 2 * i + 1);
    r.prompt_logprobs = -1;
    const size_t beginning = i < 4 ? shared.size() : 2 * kChunk + 1;
    r.prompt.insert(r.prompt.begin(), shared.begin(), shared.begin() + static_cast<std::ptrdiff_t>(beginning));
    Heard a, b;
    kept.scheduler.add(i, r, into(&a));
    while (kept.scheduler.step()) {}
    afresh.scheduler.add(i, r, into(&b));
    while (afresh.scheduler.step()) {}
    expect_same(a.tokens, b.tokens);
    EXPECT_EQ(a.usage.cached_tokens, i == 0 ? 0 : i < 4 ? 3 * kChunk : 2 * kChunk) << i;
    EXPECT_EQ(b.usage.cached_tokens, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, Batching, ::testing::Values("", "w8a8", "w4a8", "w4a16"));

// Long prompts, long texts and a flood of others: all end, a growing text gets a token at every step, and no step reads
// more than a chunk beside it.
TEST(SchedulerProperty, NobodyStarves) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    std::vector<StepReport> steps;
    Bench bench("", [&](const StepReport& s) { steps.push_back(s); });
    Random random(seed);
    std::map<size_t, int64_t> last_token;  // of growing texts: the step of their last token
    std::vector<Heard> heard(60);
    std::vector<int64_t> joined(heard.size(), -1), done(heard.size(), -1);
    size_t added = 0;
    bool more = true;
    while (more || added < heard.size()) {
      while (added < heard.size() && random.uniform() < 0.5) {
        const size_t i = added++;
        GenerationRequest r = request(1 + random.below(i % 7 == 0 ? 200 : 20), 1 + random.below(20),
                                      bench.data.vocab_size, 2 * (seed * 100 + i) + 1);
        r.group = static_cast<uint64_t>(random.below(5));
        bench.scheduler.add(i, std::move(r), [&, i](GenerationUpdate&& update) {
          const auto now = static_cast<int64_t>(steps.size());
          if (!update.tokens.empty() && !update.finished) {  // ends are told after the step was counted
            if (last_token.count(i)) {
              EXPECT_LE(now - last_token[i], 1) << "a growing text was passed over";
            }
            last_token[i] = now;
          }
          return into(&heard[i])(std::move(update));
        });
      }
      more = bench.scheduler.step();
      ASSERT_LT(steps.size(), 5000u) << "it does not end";
    }
    for (const Heard& h : heard) EXPECT_TRUE(h.finished && !h.error);
    for (const StepReport& s : steps) {
      EXPECT_LE(s.running, kSlots);
      if (s.decoded_tokens > 0) {
        EXPECT_LE(s.prompt_tokens, kChunk);
      }
    }
  }
}

// A prompt of many pieces is read on between others, however many short ones keep coming.
TEST(SchedulerProperty, ALongPromptIsReadToItsEndUnderAFlood) {
  Bench bench;
  Heard longest;
  bench.scheduler.add(0, request(20 * kChunk, 1, bench.data.vocab_size, 2), into(&longest));
  std::vector<Heard> flood(400);
  size_t added = 0;
  int steps = 0;
  while (!longest.finished) {
    while (bench.scheduler.waiting() < 8) {
      ASSERT_LT(added, flood.size());
      GenerationRequest r = request(kChunk, 2, bench.data.vocab_size, 4);
      r.group = added + 1;
      bench.scheduler.add(added + 1, std::move(r), into(&flood[added]));
      ++added;
    }
    bench.scheduler.step();
    ++steps;
  }
  EXPECT_LE(steps, 20 * kSlots) << "its pieces take turns with three others";
  EXPECT_GT(added, 20u);
}

TEST(Scheduler, CancellationAndDeadlinesEndRequestsWhereverTheyAre) {
  Bench bench;
  std::vector<Heard> heard(8);
  for (size_t i = 0; i < heard.size(); ++i) {
    GenerationRequest r = request(i == 1 ? 100 : 4, 50, bench.data.vocab_size, 2);
    if (i == 2 || i == 7) r.deadline = std::chrono::steady_clock::now();
    bench.scheduler.add(i, std::move(r), into(&heard[i]));
  }
  bench.scheduler.step();
  bench.scheduler.step();
  bench.scheduler.cancel(0);  // grows
  bench.scheduler.cancel(1);  // is being read
  bench.scheduler.cancel(6);  // waits
  bench.scheduler.cancel(99);
  while (bench.scheduler.step()) {}
  for (size_t i : {0, 1, 6}) EXPECT_EQ(heard[i].finish, FinishReason::kCancelled) << i;
  for (size_t i : {2, 7}) EXPECT_EQ(heard[i].finish, FinishReason::kDeadline) << i;
  for (size_t i : {3, 4, 5}) EXPECT_EQ(heard[i].finish, FinishReason::kLength) << i;
  EXPECT_LT(heard[0].tokens.size(), 50u);
  EXPECT_EQ(heard[3].tokens.size(), 50u);
  for (const Heard& h : heard) EXPECT_TRUE(h.finished);
}

TEST(Scheduler, ASinkThatHasEnoughEndsItsRequest) {
  Bench bench;
  int updates = 0;
  FinishReason end = FinishReason::kLength;
  bench.scheduler.add(1, request(4, 50, bench.data.vocab_size, 2), [&](GenerationUpdate&& update) {
    end = update.finish;
    return ++updates < 3;
  });
  while (bench.scheduler.step()) {}
  EXPECT_EQ(updates, 4);  // the last one tells the end
  EXPECT_EQ(end, FinishReason::kCancelled);
}

TEST(Scheduler, WithoutTokensToGenerateThePromptIsScored) {
  Bench bench;
  Heard heard;
  GenerationRequest r = request(20, 0, bench.data.vocab_size, 2);
  r.prompt_logprobs = 0;
  bench.scheduler.add(1, r, into(&heard));
  while (bench.scheduler.step()) {}
  EXPECT_TRUE(heard.finished);
  EXPECT_EQ(heard.prompt.size(), 20u);
  EXPECT_TRUE(heard.tokens.empty());
}

// The next turn of a conversation reads what is new. In float states it gives what reading all of it gives.
TEST(Scheduler, AConversationGoesOnWhereItsTextEnded) {
  Bench bench("", {}, 1 << 24), afresh;
  GenerationRequest first = request(3 * kChunk + 2, 9, bench.data.vocab_size, 4);
  first.cache_end = true;
  first.prompt_logprobs = -1;
  Heard turn;
  bench.scheduler.add(1, first, into(&turn));
  while (bench.scheduler.step()) {}
  GenerationRequest second = first;
  for (const TokenReport& t : turn.tokens) second.prompt.push_back(t.id);
  const size_t new_begin = second.prompt.size();
  for (const int32_t id : testing::random_ids(5, bench.data.vocab_size, 9)) second.prompt.push_back(id);
  Heard next, alone;
  bench.scheduler.add(2, second, into(&next));
  while (bench.scheduler.step()) {}
  EXPECT_EQ(next.usage.cached_tokens, static_cast<int64_t>(new_begin) - 1) << "the last token was not read yet";
  afresh.scheduler.add(2, second, into(&alone));
  while (afresh.scheduler.step()) {}
  ASSERT_EQ(next.tokens.size(), alone.tokens.size());
  for (size_t i = 0; i < next.tokens.size(); ++i) {
    EXPECT_EQ(next.tokens[i].id, alone.tokens[i].id);
    EXPECT_NEAR(next.tokens[i].log_probability, alone.tokens[i].log_probability, 1e-4);
  }
  GenerationRequest strict = second;  // one that wants the same bits does not begin there
  strict.cache_end = false;
  Heard exact;
  bench.scheduler.add(3, strict, into(&exact));
  while (bench.scheduler.step()) {}
  expect_same(exact.tokens, alone.tokens);
  EXPECT_EQ(exact.usage.cached_tokens % kChunk, 0);
}

TEST(Scheduler, BadRequestsAreRefused) {
  Bench bench;
  const auto refused = [&](auto change) {
    GenerationRequest r = request(4, 4, bench.data.vocab_size, 2);
    change(&r);
    EXPECT_THROW(check_request(bench.model, r), Error);
  };
  refused([](GenerationRequest* r) { r->prompt.clear(); });
  refused([](GenerationRequest* r) { r->prompt[2] = -1; });
  refused([](GenerationRequest* r) { r->prompt[2] = 1 << 30; });
  refused([](GenerationRequest* r) { r->logprobs = -2; });
  refused([](GenerationRequest* r) { r->prompt_logprobs = 1 << 30; });
  refused([](GenerationRequest* r) { r->sampling.top_p = 0; });
}

}  // namespace
}  // namespace quamba2
