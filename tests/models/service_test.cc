// SPDX-License-Identifier: Apache-2.0
// The service on the bundled model: threads submit and cancel while one worker reads and decodes.
#include "quamba2/service.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "quamba2/quamba2.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

std::string demo() { return testing::source_path("models/demo"); }

// Gathers what requests get, and waits for their ends.
class Gather {
 public:
  explicit Gather(size_t count) : texts_(count), ids_(count), ends_(count), left_(count) {}

  Service::Sink sink(size_t first = 0) {
    return [this, first](size_t i, GenerationUpdate&& update) {
      const std::lock_guard lock(mutex_);
      texts_[first + i] += update.text;
      for (const TokenReport& t : update.tokens) ids_[first + i].push_back(t.id);
      if (update.finished) {
        if (update.end_token >= 0) ids_[first + i].pop_back();
        ends_[first + i] = update.error ? FinishReason::kCancelled : update.finish;
        --left_;
        ended_.notify_all();
      }
      return true;
    };
  }
  void wait() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(ended_.wait_for(lock, std::chrono::minutes(5), [&] { return left_ == 0; }));
  }

  std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<std::string> texts_;
  std::vector<std::vector<int32_t>> ids_;
  std::vector<FinishReason> ends_;
  size_t left_;
};

TEST(Service, ThreadsGetWhatTheEngineGivesOneAtATime) {
  const std::vector<std::string> prompts = {"It was a dark and", "The captain", "\"Where,\" said she, \"is the",
                                            "In the year 1850 the town of", "He"};
  SamplingOptions options;
  options.max_tokens = 24;
  Engine engine = Engine::load(demo(), {.max_tokens = 16});  // pieces of 16 tokens
  const auto service = Service::load(demo(), {.slots = 3, .chunk = 16});
  Gather gather(4 * prompts.size());
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<GenerationRequest> requests;
      for (const std::string& p : prompts) requests.push_back({service->engine().encode_prompt(p), options});
      EXPECT_TRUE(service->submit(requests, gather.sink(t * prompts.size())).has_value());
    });
  }
  for (std::thread& t : threads) t.join();
  gather.wait();
  for (size_t i = 0; i < gather.texts_.size(); ++i) {
    const Completion alone = engine.generate({prompts[i % prompts.size()]}, options)[0];
    EXPECT_EQ(gather.ids_[i], alone.ids);
    EXPECT_EQ(gather.texts_[i], alone.text);
    EXPECT_EQ(gather.ends_[i], alone.finish);
  }
}

TEST(Service, AFullQueueTakesAllOrNothing) {
  const auto service = Service::load(demo(), {.slots = 1, .max_waiting = 2});
  GenerationRequest request{{1, 2, 3}, {.max_tokens = 1 << 20, .ignore_eos = true}};
  Gather gather(3);
  const auto first = service->submit({request, request}, gather.sink());
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(service->submit({request, request}, gather.sink()).has_value());
  const auto third = service->submit({request}, gather.sink(2));
  ASSERT_TRUE(third.has_value());
  EXPECT_FALSE(service->submit({request}, gather.sink()).has_value());
  for (const uint64_t id : *first) service->cancel(id);
  service->cancel((*third)[0]);
  gather.wait();
  for (const FinishReason end : gather.ends_) EXPECT_EQ(end, FinishReason::kCancelled);
  Gather after(1);
  request.sampling.max_tokens = 2;
  EXPECT_TRUE(service->submit({request}, after.sink()).has_value());
  after.wait();
  EXPECT_EQ(after.ids_[0].size(), 2u);
}

TEST(Service, ItsEndEndsRequests) {
  Gather gather(3);
  {
    const auto service = Service::load(demo(), {.slots = 1});
    const GenerationRequest request{{1, 2, 3}, {.max_tokens = 1 << 20, .ignore_eos = true}};
    ASSERT_TRUE(service->submit({request, request, request}, gather.sink()).has_value());
  }
  EXPECT_EQ(gather.left_, 0u);
}

TEST(Service, BadRequestsAndOptionsAreUsageErrors) {
  EXPECT_THROW(Service::load(demo(), {.slots = 0}), Error);
  EXPECT_THROW(Service::load(demo(), {.chunk = 0}), Error);
  EXPECT_THROW(Service(Engine::load(demo(), {.max_sequences = 4, .max_tokens = 16}), {.chunk = 16}), Error);
  const auto service = Service::load(demo());
  const Service::Sink sink = [](size_t, GenerationUpdate&&) { return true; };
  EXPECT_THROW(service->submit({GenerationRequest{}}, sink), Error);
  EXPECT_THROW(service->submit({GenerationRequest{{1}, {.top_p = 2}}}, sink), Error);
  EXPECT_THROW(service->submit({GenerationRequest{{1 << 30}}}, sink), Error);
}

}  // namespace
}  // namespace quamba2
