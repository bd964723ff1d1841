// SPDX-License-Identifier: Apache-2.0
#include "quamba2/service.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "api/engine_impl.h"
#include "runtime/scheduler.h"

namespace quamba2 {
namespace {

constexpr int kUnfilledBelow = 2048;  // tokens of a call

struct Submitted {
  uint64_t id;
  GenerationRequest request;
  GenerationSink sink;
};

struct Kept {
  std::vector<int32_t> ids;
  std::vector<std::byte> state;
  bool exact;
};

Engine checked(Engine engine, const ServiceOptions& options) {
  const int64_t room = engine.impl().executor->limits().max_tokens;
  if (options.chunk >= 1 && options.max_waiting >= 0 && options.chunk + engine.max_sequences() <= room) return engine;
  throw Error(ErrorCode::kUsage, "service options out of range", "",
              "chunk is at least 1, max_waiting at least 0, and a chunk and a token for every slot fit in one call");
}

}  // namespace

// One thread owns the executor; others leave requests and cancellations for it.
struct Service::Worker {
  Worker(Engine&& owned, const ServiceOptions& service_options)
      : options(service_options),
        engine(checked(std::move(owned), options)),
        model{engine.impl().executor.get(), engine.impl().tokenizer, engine.impl().vocab_size, engine.impl().eos},
        capacity(engine.max_sequences() + options.max_waiting),
        scheduler(model, {options.chunk, false, options.cache_bytes, options.on_step}),
        thread([this] { work(); }) {}

  ~Worker() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }

  void work() {
    bool busy = false;
    for (;;) {
      std::vector<Kept> states;
      std::vector<Submitted> requests;
      std::vector<uint64_t> cancelled;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock,
                  [&] { return busy || stopping || !inbox.empty() || !cancellations.empty() || !to_keep.empty(); });
        states.swap(to_keep);
        requests.swap(inbox);
        cancelled.swap(cancellations);
        if (stopping) busy = false;
      }
      for (Kept& k : states) scheduler.keep(k.ids, std::move(k.state), k.exact);
      for (Submitted& s : requests) scheduler.add(s.id, std::move(s.request), std::move(s.sink));
      for (const uint64_t id : cancelled) scheduler.cancel(id);
      if (stopping) {
        scheduler.fail_all(Error(ErrorCode::kInterrupted, "stopped", "", "the service ends"));
        return;
      }
      busy = step();
      running = static_cast<int>(scheduler.running());
      cache_bytes = scheduler.cache().bytes();
    }
  }

  bool step() {
    try {
      return scheduler.step();
    } catch (const Error& e) {
      scheduler.fail_all(e);
    } catch (const std::exception& e) {  // out of memory
      scheduler.fail_all(Error(ErrorCode::kResource, "the service failed", "", e.what()));
    }
    return false;
  }

  const ServiceOptions options;
  Engine engine;
  const GeneratorModel model;
  const int capacity;
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<Submitted> inbox;
  std::vector<Kept> to_keep;
  std::vector<uint64_t> cancellations;
  std::atomic<bool> stopping = false;
  uint64_t next_id = 1;                         // with `mutex`
  std::atomic<int> in_flight = 0, running = 0;  // requests that have not ended; those in slots
  std::atomic<uint64_t> cache_bytes = 0;
  Scheduler scheduler;
  std::thread thread;  // last: it uses all of the above
};

EngineOptions Service::engine_options(const ServiceOptions& options) {
  EngineOptions engine;
  engine.device = options.device;
  engine.threads = options.threads;
  engine.tokenizer = options.tokenizer;
  engine.max_sequences = options.slots;
  engine.max_tokens = options.chunk + options.slots;
  // Where no text grows, a GPU reads several pieces at once: one alone leaves it unfilled.
  if (options.device.starts_with("cuda")) engine.max_tokens = std::max(engine.max_tokens, kUnfilledBelow);
  return engine;
}

std::unique_ptr<Service> Service::load(const std::string& path_or_name, const ServiceOptions& options) {
  return std::make_unique<Service>(Engine::load(path_or_name, engine_options(options)), options);
}

Service::Service(Engine engine, const ServiceOptions& options)
    : worker_(std::make_unique<Worker>(std::move(engine), options)) {}
Service::~Service() = default;

const Engine& Service::engine() const { return worker_->engine; }
int Service::capacity() const { return worker_->capacity; }
int Service::chunk() const { return worker_->options.chunk; }

bool Service::keep(const PausedText& paused, bool exact) {
  engine().check_model_of(paused);
  const auto read = paused.ids.begin() + paused.read;
  if (!paused.state || paused.state->size() != engine().state_bytes() || paused.read < 1 || paused.ids.end() < read)
    throw Error(ErrorCode::kUsage, "bad paused text", "", "it has no state of this model", "keep one that was read");
  // As PrefixCache counts, roughly: a state, its tokens and their place in the tree.
  constexpr uint64_t kRoom = 1024;
  if (paused.state->size() + sizeof(int32_t) * paused.ids.size() + kRoom > worker_->options.cache_bytes) return false;
  {
    const std::lock_guard lock(worker_->mutex);
    worker_->to_keep.push_back({{paused.ids.begin(), read}, *paused.state, exact});
  }
  worker_->wake.notify_one();
  return true;
}

std::optional<std::vector<uint64_t>> Service::submit(std::vector<GenerationRequest> requests, Sink sink) {
  for (const GenerationRequest& r : requests) check_request(worker_->model, r);
  const auto shared = std::make_shared<const Sink>(std::move(sink));
  const int count = static_cast<int>(std::min<size_t>(requests.size(), static_cast<size_t>(capacity()) + 1));
  std::vector<uint64_t> ids;
  {
    const std::lock_guard lock(worker_->mutex);
    if (worker_->in_flight + count > capacity()) return std::nullopt;
    worker_->in_flight += count;
    const uint64_t group = worker_->next_id;
    for (size_t i = 0; i < requests.size(); ++i) {
      ids.push_back(worker_->next_id++);
      if (requests[i].group == 0) requests[i].group = group;
      std::atomic<int>* in_flight = &worker_->in_flight;
      worker_->inbox.push_back({ids.back(), std::move(requests[i]), [shared, i, in_flight](GenerationUpdate&& update) {
                                  if (update.finished) --*in_flight;
                                  return (*shared)(i, std::move(update));
                                }});
    }
  }
  worker_->wake.notify_one();
  return ids;
}

void Service::cancel(uint64_t request) {
  {
    const std::lock_guard lock(worker_->mutex);
    worker_->cancellations.push_back(request);
  }
  worker_->wake.notify_one();
}

Service::Status Service::status() const {
  const int running = worker_->running;
  return {running, std::max(0, worker_->in_flight - running), worker_->cache_bytes};
}

}  // namespace quamba2
