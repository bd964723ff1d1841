// SPDX-License-Identifier: Apache-2.0
// Loads on a server of the bundled model: nothing is lost, all streams are served alike, failures are counted.
#include <sys/resource.h>

#include "../server/test_server.h"
#include "load_report.h"
#include "quamba2/engine.h"
#include "quamba2/error.h"

namespace quamba2::load {
namespace {

using server::TestServer;

constexpr int kStreams = 64;

bool never() { return false; }

LoadOptions options_for(const TestServer& server) {
  LoadOptions o;
  o.server = {"127.0.0.1", std::to_string(server.port())};
  return o;
}

WorkloadOptions work_for(const TestServer& server, int64_t requests) {
  const ServerFacts facts = ask_server({"127.0.0.1", std::to_string(server.port())});
  EXPECT_EQ(facts.vocab_size, server.engine().vocab_size());
  return {
      .requests = requests, .input = {4, 12}, .output = {32, 32}, .vocab_size = facts.vocab_size, .model = facts.model};
}

TEST(Load, ManyStreamsAreAllServedAndAlike) {
  TestServer server({}, {.slots = kStreams, .chunk = 64});
  LoadOptions options = options_for(server);
  options.concurrency = kStreams;
  options.memory_every = kStreams;
  size_t heard = 0;
  const LoadResult result =
      run_load(options, make_workload(work_for(server, 2 * kStreams)), never, [&](size_t done) { heard = done; });
  const LoadReport r = summarize(result, kStreams);
  EXPECT_EQ(heard, 2u * kStreams);
  EXPECT_EQ(r.good, 2u * kStreams) << (r.failures.empty() ? "" : r.failures.begin()->first);
  EXPECT_EQ(r.output_tokens, 2 * kStreams * 32);
  EXPECT_GE(r.input_tokens, 2 * kStreams * 4);
  ASSERT_GT(r.window.seconds, 0);
  EXPECT_EQ(r.window.streams, static_cast<size_t>(kStreams));
  EXPECT_GT(r.window.least, 0.5 * r.window.most) << "a stream starves";
  EXPECT_GT(r.health.count, 10u);
  EXPECT_EQ(r.health_failures, 0);
  EXPECT_LT(r.health.median, 0.05) << "seconds; of the median, as other tests may hold up single ones";
  ASSERT_EQ(r.memory.size(), 2u);
  EXPECT_GT(r.memory[0].second, 1e6);
}

// Seconds that the processors worked for this process. Unlike time they do not depend on what else the machine does.
double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Server and client together take little beside what the same texts take without them.
TEST(Load, ServingCostsLittleBesideGeneration) {
  constexpr int kTokens = 48;
  double offline = 0;
  {
    EngineOptions options;
    options.threads = 1;
    options.max_sequences = kStreams;
    Engine engine = Engine::load(server::demo_model(), options);
    const std::vector<std::string> prompts(kStreams, "a");
    const double begin = processor_seconds();
    engine.generate(prompts, {.max_tokens = kTokens, .ignore_eos = true});
    offline = (processor_seconds() - begin) / (kStreams * kTokens);
  }
  TestServer server({}, {.threads = 1, .slots = kStreams, .chunk = 64});
  LoadOptions options = options_for(server);
  options.concurrency = kStreams;
  WorkloadOptions work = work_for(server, kStreams);
  work.input = {1, 1};
  work.output = {kTokens, kTokens};
  const auto planned = make_workload(work);
  const double begin = processor_seconds();
  const LoadReport r = summarize(run_load(options, planned, never, [](size_t) {}), kStreams);
  const double served = (processor_seconds() - begin) / static_cast<double>(r.output_tokens);
  EXPECT_EQ(r.good, static_cast<size_t>(kStreams));
  EXPECT_LT(served, 1.5 * offline) << "processor seconds a token";
}

// What a request leaves behind is given back: the second thousand needs no more memory than the first.
TEST(Load, MemoryStaysAsItIs) {
  TestServer server;
  LoadOptions options = options_for(server);
  options.concurrency = 8;
  options.memory_every = 500;
  WorkloadOptions work = work_for(server, 2000);
  work.output = {1, 2};
  const LoadResult result = run_load(options, make_workload(work), never, [](size_t) {});
  EXPECT_EQ(summarize(result, 0).good, 2000u);
  ASSERT_EQ(result.memory.size(), 4u);
  EXPECT_LT(result.memory[3].second - result.memory[1].second, 2 << 20) << "bytes";
}

TEST(Load, GoesOutAtItsTimes) {
  TestServer server;
  LoadOptions options = options_for(server);
  options.timed = true;
  WorkloadOptions work = work_for(server, 20);
  work.rate = 100;
  work.output = {1, 3};
  const auto planned = make_workload(work);
  const LoadResult result = run_load(options, planned, never, [](size_t) {});
  for (size_t i = 0; i < planned.size(); ++i) {
    EXPECT_EQ(result.requests[i].error, "");
    EXPECT_EQ(result.requests[i].output_tokens, planned[i].output);
    EXPECT_GE(result.requests[i].sent, planned[i].at);
  }
}

TEST(Load, FailuresAreCounted) {
  TestServer server({.api_key = "secret"}, {.slots = 1, .chunk = 32, .max_waiting = 1});
  LoadOptions options = options_for(server);
  EXPECT_THROW(ask_server(options.server), Error) << "a key is asked for";
  options.server.api_key = "secret";
  options.concurrency = 12;
  WorkloadOptions work{.requests = 12, .output = {60, 60}, .vocab_size = 100};
  const LoadReport full = summarize(run_load(options, make_workload(work), never, [](size_t) {}), 12);
  EXPECT_GE(full.good, 2u);
  EXPECT_GT(full.failed, 0u);
  EXPECT_EQ(full.good + full.failed, 12u);
  EXPECT_EQ(full.failures.begin()->first, "status 429: the queue is full; try again soon");
  EXPECT_EQ(full.window.seconds, 0);
  server.stop();
  const LoadReport gone = summarize(run_load(options, make_workload(work), never, [](size_t) {}), 0);
  EXPECT_EQ(gone.failed, 12u);
  EXPECT_THROW(ask_server(options.server), Error);
}

TEST(Load, StopsWhereAsked) {
  TestServer server;
  WorkloadOptions work = work_for(server, 8);
  work.output = {100'000, 100'000};
  const LoadReport r =
      summarize(run_load(options_for(server), make_workload(work), [] { return true; }, [](size_t) {}), 8);
  EXPECT_EQ(r.unfinished, 8u);
}

}  // namespace
}  // namespace quamba2::load
