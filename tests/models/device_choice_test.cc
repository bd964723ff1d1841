// SPDX-License-Identifier: Apache-2.0
// Tokens that a device chooses itself and reads next, on a fake one: the same as where all logits come to the host.
#include <algorithm>
#include <cmath>
#include <limits>

#include "api/load_model.h"
#include "backends/cuda/cuda_backend.h"
#include "quamba2/error.h"
#include "runtime/generator.h"
#include "runtime/sampler.h"
#include "runtime/scheduler.h"
#include "support/fake_device.h"
#include "support/model_runs.h"
#include "support/paths.h"

namespace quamba2::testing {
namespace {

const KernelTable& choosing(const DeviceSpec&) { return fake_table(); }
const KernelTable& not_choosing(const DeviceSpec&) {
  static const KernelTable table = [] {
    KernelTable t = fake_table();
    t.choose_token = {}, t.follow_tokens = {};
    return t;
  }();
  return table;
}

ModelData small_model() { return load_model(source_path("tests/golden/mamba2-hf")); }

TokenRule greedy(const ModelData& m) {
  TokenRule rule;
  rule.vocabulary = static_cast<int32_t>(m.vocab_size);
  return rule;
}

int32_t likeliest(const float* row, int64_t count) {
  return static_cast<int32_t>(std::max_element(row, row + count) - row);
}

// Tokens of some sequences, each step behind the one before: a list a step.
using Steps = std::vector<std::vector<int32_t>>;

std::vector<Segment> single_tokens(int32_t sequences) {
  std::vector<Segment> out;
  for (int32_t s = 0; s < sequences; ++s) out.push_back({s, 1, s});
  return out;
}
std::vector<int32_t> first_rows(int32_t count) {
  std::vector<int32_t> out(static_cast<size_t>(count));
  for (int32_t r = 0; r < count; ++r) out[static_cast<size_t>(r)] = r;
  return out;
}

Steps steps_by_logits(Executor* e, const ModelData& m, std::vector<int32_t> ids, int steps) {
  const auto count = static_cast<int32_t>(ids.size());
  Steps out;
  for (int t = 0; t < steps; ++t) {
    e->run(ids, single_tokens(count));
    const float* logits = e->logits(first_rows(count));
    for (int32_t r = 0; r < count; ++r)
      ids[static_cast<size_t>(r)] = likeliest(logits + static_cast<int64_t>(r) * e->table_rows(), m.vocab_size);
    out.push_back(ids);
  }
  return out;
}

Steps steps_by_choice(Executor* e, const ModelData& m, std::vector<int32_t> ids, int steps) {
  const auto count = static_cast<int32_t>(ids.size());
  const std::vector<TokenRule> rules(ids.size(), greedy(m));
  Steps out;
  const auto take = [&] {
    const std::span<const int32_t> chosen = e->take_chosen();
    out.push_back({chosen.begin(), chosen.end()});
  };
  for (int t = 0; t < steps; ++t) {
    e->run_and_choose(ids, single_tokens(count), first_rows(count), rules);
    for (int32_t r = 0; r < count; ++r) ids[static_cast<size_t>(r)] = -1 - r;
    if (t > 0) take();
  }
  take();
  return out;
}

TEST(DeviceChoice, FeedsWhatTheHostWouldHaveFed) {
  const ModelData m = small_model();
  for (CompileSteps compile : {CompileSteps{}, CompileSteps{fake_program}}) {
    for (size_t sequences : {1, 3}) {
      const std::vector<int32_t> first = {3, 77, 50};
      const std::vector<int32_t> ids(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(sequences));
      FakeDeviceApi api, plain;
      const PlanLimits limits = {.max_tokens = 8, .max_selected = 3, .max_sequences = 3};
      Executor chooses(m.graph, make_cuda_backend(api, 0, choosing, compile), limits);
      Executor tells(m.graph, make_cuda_backend(plain, 0, not_choosing, compile), limits);
      EXPECT_TRUE(chooses.can_choose());
      EXPECT_FALSE(tells.can_choose());
      const Steps wanted = steps_by_logits(&tells, m, ids, 12);
      const auto before = api.calls;
      EXPECT_EQ(steps_by_choice(&chooses, m, ids, 12), wanted);
      // Ids, segments, rows and rules go there once; nothing but tokens comes back.
      EXPECT_EQ(api.calls["copy_to_device"] - before.at("copy_to_device"), 4);
      EXPECT_EQ(api.calls["copy_to_host"], 12);
      EXPECT_EQ(api.calls["synchronize"], before.count("synchronize") ? before.at("synchronize") : 0);
    }
  }
}

// Sequences change places, one is given a token, another call comes between.
TEST(DeviceChoice, FollowsTokensToOtherPlaces) {
  const ModelData m = small_model();
  FakeDeviceApi api, plain;
  const PlanLimits limits = {.max_tokens = 8, .max_selected = 4, .max_sequences = 4};
  Executor chooses(m.graph, make_cuda_backend(api, 0, choosing), limits);
  Executor tells(m.graph, make_cuda_backend(plain, 0, not_choosing), limits);
  const std::vector<Segment> before = {{0, 3, 2}, {3, 1, 0}, {4, 2, 1}}, after = {{0, 1, 1}, {1, 1, 3}, {2, 1, 2}};
  const std::vector<int32_t> ids = {5, 6, 7, 8, 9, 10}, rows = {2, 3, 5}, after_rows = {0, 1, 2};
  const std::vector<TokenRule> rules(3, greedy(m));
  chooses.run_and_choose(ids, before, rows, rules);
  chooses.run_and_choose(std::vector<int32_t>{-3, 11, -1}, after, after_rows, rules);
  EXPECT_EQ(chooses.untaken(), 2);
  tells.run(ids, before);
  std::vector<int32_t> wanted;
  const float* logits = tells.logits(rows);
  for (int r = 0; r < 3; ++r) wanted.push_back(likeliest(logits + r * tells.table_rows(), m.vocab_size));
  const auto taken = [&] {
    const std::span<const int32_t> chosen = chooses.take_chosen();
    return std::vector<int32_t>(chosen.begin(), chosen.end());
  };
  EXPECT_EQ(taken(), wanted);
  tells.run(std::vector<int32_t>{wanted[2], 11, wanted[0]}, after);
  logits = tells.logits(after_rows);
  for (int r = 0; r < 3; ++r) wanted[static_cast<size_t>(r)] = likeliest(logits + r * tells.table_rows(), m.vocab_size);
  EXPECT_EQ(taken(), wanted);
  // The device's ids are another call's now.
  const Segment other{0, 1, 0};
  const int32_t id = 1;
  chooses.run({&id, 1}, {&other, 1});
  tells.run({&id, 1}, {&other, 1});
  chooses.run_and_choose(std::vector<int32_t>{-1, -2, -3}, after, after_rows, rules);
  tells.run(wanted, after);
  logits = tells.logits(after_rows);
  for (int r = 0; r < 3; ++r) wanted[static_cast<size_t>(r)] = likeliest(logits + r * tells.table_rows(), m.vocab_size);
  EXPECT_EQ(taken(), wanted);
}

TEST(DeviceChoice, WrongCallsAreRefused) {
  const ModelData m = small_model();
  FakeDeviceApi api;
  Executor e(m.graph, make_cuda_backend(api, 0, choosing), {.max_tokens = 8, .max_selected = 4, .max_sequences = 4});
  const Segment one{0, 1, 0};
  const int32_t row = 0, unknown = -1, known = 1;
  const TokenRule rule = greedy(m);
  EXPECT_THROW(e.run_and_choose({&unknown, 1}, {&one, 1}, {&row, 1}, {&rule, 1}), Error) << "nothing was chosen yet";
  EXPECT_THROW(e.take_chosen(), Error);
  e.run_and_choose({&known, 1}, {&one, 1}, {&row, 1}, {&rule, 1});
  EXPECT_THROW(e.run({&unknown, 1}, {&one, 1}), Error);
  e.run_and_choose({&unknown, 1}, {&one, 1}, {&row, 1}, {&rule, 1});
  EXPECT_THROW(e.run_and_choose({&unknown, 1}, {&one, 1}, {&row, 1}, {&rule, 1}), Error) << "too far ahead";
  e.forget_chosen();
  e.run_and_choose({&unknown, 1}, {&one, 1}, {&row, 1}, {&rule, 1});
  EXPECT_EQ(e.take_chosen().size(), 1u);
}

struct Heard {
  std::vector<int32_t> tokens;
  FinishReason finish = FinishReason::kLength;
  int32_t end_token = -1;
  std::string error;
  std::vector<int32_t> paused;
  std::vector<std::byte> state;
  bool finished = false;
  bool operator==(const Heard&) const = default;
};

// Requests of all kinds that join while others run.
std::vector<Heard> serve(const ModelData& m, uint64_t seed, ChooseTable choose, CompileSteps compile, bool separate) {
  FakeDeviceApi api;
  Executor executor(m.graph, make_cuda_backend(api, 0, choose, compile),
                    {.max_tokens = 12, .max_selected = 4, .max_sequences = 4});
  std::vector<int32_t> ends;
  for (int32_t id = 0; id < 20; ++id) ends.push_back(id * 7);
  const GeneratorModel model{&executor, nullptr, m.vocab_size, ends};
  int64_t decoded = 0, followed = 0;
  Scheduler scheduler(model, {8, separate, 1 << 20, [&](const StepReport& s) { decoded += s.decoded_tokens; }});
  Random random(seed);
  std::vector<GenerationRequest> requests;
  for (uint64_t i = 0; i < 16; ++i) {
    GenerationRequest r;
    r.prompt = random_ids(1 + random.below(20), m.vocab_size, 100 * seed + i);
    r.sampling.max_tokens = random.below(12);
    r.sampling.seed = i;
    const int64_t kind = random.below(12);
    if (kind == 0) r.logprobs = 1;
    if (kind == 1) r.sampling.repetition_penalty = 1.3;
    if (kind == 2) r.prompt_logprobs = 0;
    if (kind == 3) r.sampling.min_tokens = 3;
    if (kind == 4) r.cache_end = true;
    if (kind == 5) r.return_paused = true;
    if (kind == 6 || random.below(3) == 0) r.sampling.temperature = 0.5 + random.uniform();
    if (random.below(3) == 0) r.sampling.top_k = 1 + random.below(10);
    if (random.below(3) == 0) r.sampling.top_p = 0.5;
    if (random.below(3) == 0) r.sampling.min_p = 0.1;
    if (kind == 7) r.sampling.ignore_eos = true;
    requests.push_back(std::move(r));
  }
  std::vector<Heard> heard(requests.size());
  size_t added = 0;
  bool more = true;
  while (more || added < requests.size()) {
    while (added < requests.size() && random.uniform() < 0.4) {
      Heard* to = &heard[added];
      scheduler.add(added, requests[added], [to](GenerationUpdate&& update) {
        EXPECT_FALSE(to->finished);
        for (const TokenReport& t : update.tokens) to->tokens.push_back(t.id);
        to->finished = update.finished;
        to->finish = update.finish;
        to->end_token = update.end_token;
        if (update.error) to->error = update.error->what();
        if (update.paused) to->paused = update.paused->ids;
        if (update.paused && update.paused->state) to->state = *update.paused->state;
        return true;
      });
      ++added;
    }
    more = scheduler.step();
  }
  EXPECT_EQ(executor.untaken(), 0);
  for (const Heard& h : heard) {
    EXPECT_TRUE(h.finished);
    followed += h.tokens.empty() ? 0 : static_cast<int64_t>(h.tokens.size()) - 1;
  }
  EXPECT_EQ(decoded, followed) << "what was read in vain does not count";
  return heard;
}

TEST(DeviceChoice, RequestsGetTheSameTokens) {
  const ModelData m = small_model();
  int ended = 0;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    for (bool separate : {false, true}) {
      const std::vector<Heard> wanted = serve(m, seed, not_choosing, {}, separate);
      EXPECT_TRUE(serve(m, seed, choosing, {}, separate) == wanted) << seed;
      EXPECT_TRUE(serve(m, seed, choosing, fake_program, separate) == wanted) << seed;
      for (const Heard& h : wanted) ended += h.finish == FinishReason::kEndOfText;
    }
  }
  EXPECT_GT(ended, 20) << "too few texts end by themselves";
}

// Sinks that end their texts, and cancellations, in the middle of calls that are ahead.
TEST(DeviceChoice, CancelledTextsLeaveNothingBehind) {
  const ModelData m = small_model();
  FakeDeviceApi api;
  Executor executor(m.graph, make_cuda_backend(api, 0, choosing),
                    {.max_tokens = 12, .max_selected = 4, .max_sequences = 4});
  const GeneratorModel model{&executor, nullptr, m.vocab_size, {}};
  std::vector<int32_t> alone;
  for (int round = 0; round < 3; ++round) {
    Scheduler scheduler(model, {8, false, 0, {}});
    std::vector<int32_t> kept;
    int finished = 0;
    const auto add = [&](uint64_t id, size_t most) {
      GenerationRequest r;
      r.prompt = random_ids(5, m.vocab_size, id);
      r.sampling.max_tokens = 9;
      scheduler.add(id, std::move(r), [&, id, most, count = size_t{0}](GenerationUpdate&& update) mutable {
        for (const TokenReport& t : update.tokens) {
          if (id == 0) kept.push_back(t.id);
        }
        finished += update.finished;
        return ++count < most;
      });
    };
    add(0, 100);
    if (round > 0) add(1, 2), add(2, 100);
    for (int step = 0; scheduler.step(); ++step) {
      if (round > 0 && step == 3) scheduler.cancel(2);
      if (round == 2 && step == 5) break;  // the scheduler is given up
    }
    if (round == 0) alone = kept;
    if (round == 1) {
      EXPECT_EQ(kept, alone);
      EXPECT_EQ(finished, 3);
    }
  }
  EXPECT_EQ(executor.untaken(), 0);
}

// The reference of choose_token is the sampler, token for token. (The order of its sums is another one: two draws of
// 10^15 may differ.)
TEST(DeviceChoice, TheReferenceIsTheSampler) {
  Random random(3);
  for (int round = 0; round < 3000; ++round) {
    const auto vocabulary = static_cast<int32_t>(1 + random.below(200)), columns = vocabulary + 3;
    SamplingOptions o;
    o.seed = random.next();
    if (random.below(8) > 0) o.temperature = 0.1 + 2 * random.uniform();
    if (random.below(2) > 0) o.top_k = random.below(vocabulary + 2);
    if (random.below(2) > 0) o.top_p = 0.05 + 0.95 * random.uniform();
    if (random.below(2) > 0) o.min_p = 0.2 * random.uniform();
    const auto draws = static_cast<uint64_t>(random.below(100));
    Sampler sampler(o, vocabulary, draws);
    std::vector<float> logits;
    const double ties = random.uniform();
    for (int32_t i = 0; i < columns; ++i) {
      logits.push_back(static_cast<float>(3 * random.normal()));
      if (random.uniform() < ties) logits.back() = std::round(logits.back());
    }
    TokenRule rule = *sampler.rule();
    int32_t chosen = 0, next = 0;
    const auto view = [](void* data, DType type, int32_t words) {
      return TensorView{data, {1, words, 0, 0}, {words, 1, 0, 0}, type, 2};
    };
    ChooseTokenArgs args;
    args.logits.values = view(logits.data(), DType::kF32, columns);
    args.rules = view(&rule, DType::kI32, sizeof rule / 4);
    args.chosen = view(&chosen, DType::kI32, 1), args.next = view(&next, DType::kI32, 1);
    reference_choose_token(args);
    EXPECT_EQ(chosen, sampler.sample(logits)) << round;
    EXPECT_EQ(next, chosen);
    EXPECT_EQ(rule.draws, o.temperature != 0 ? sampler.draws() : 0);
  }
}

// A broken model fails the request, in the words of the sampler.
TEST(DeviceChoice, LogitsThatAreNoNumbersAreTold) {
  ModelData m = small_model();
  for (Weight& w : m.graph.weights) {
    if (w.name.find("norm_f") == std::string::npos) continue;
    Tensor broken(DType::kF32, w.values.shape());
    std::fill_n(broken.as<float>(), broken.elements(), std::numeric_limits<float>::quiet_NaN());
    w.values = std::move(broken);
  }
  const auto error = [&](ChooseTable choose) {
    FakeDeviceApi api;
    Executor executor(m.graph, make_cuda_backend(api, 0, choose), {});
    try {
      generate({&executor, nullptr, m.vocab_size, {}}, {{1, 2, 3}}, {}, {}, nullptr);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const std::string told = error(choosing);
  EXPECT_NE(told.find("token 0"), std::string::npos) << told;
  EXPECT_EQ(told, error(not_choosing));
}

}  // namespace
}  // namespace quamba2::testing
