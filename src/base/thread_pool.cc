// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace quamba2 {
namespace {

// Longer than the serial gaps inside a token; short, because on a busy machine it is another thread's time.
constexpr auto kSpinTime = std::chrono::microseconds(50);
constexpr int kPausesBetweenLooks = 32;  // at the clock: a pause takes 10 to 140 cycles

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `value` differs from `old`; spins first where `spin` says so.
uint32_t await_change(const std::atomic<uint32_t>& value, uint32_t old, bool spin) {
  const auto start = std::chrono::steady_clock::now();
  while (spin) {
    for (int i = 0; i < kPausesBetweenLooks; ++i) {
      const uint32_t now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      pause();
    }
    spin = std::chrono::steady_clock::now() - start < kSpinTime;
  }
  while (true) {
    value.wait(old, std::memory_order_acquire);
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
  }
}

}  // namespace

// A round has as many parts as there are threads. Parts are claimed, not assigned: where another process holds a worker's
// processor, whoever is awake does that worker's part, instead of waiting for the scheduler several times a layer.
struct ThreadPool::Shared {
  explicit Shared(int count) : parts(static_cast<uint32_t>(count)), next(parts) {}

  const uint32_t parts;
  alignas(64) std::atomic<uint32_t> epoch{0};     // a new value starts a round
  alignas(64) std::atomic<uint64_t> next;         // round << 32 | the first part that nobody has claimed
  alignas(64) std::atomic<uint32_t> finished{0};  // parts done in this round
  alignas(64) std::atomic<bool> stop{false};
  std::atomic<void (*)(void*, int)> task{nullptr};  // read before a claim, valid only after it
  std::atomic<void*> context{nullptr};
  bool spin = true;
  std::vector<std::jthread> workers;

  // Claims a part and does it; false where none is left. A round ends only when all its parts are done, so a claim that
  // succeeds belongs to the round whose task was read before it.
  bool do_part() {
    uint64_t first = next.load(std::memory_order_acquire);
    while (static_cast<uint32_t>(first) < parts) {
      void (*const function)(void*, int) = task.load(std::memory_order_relaxed);
      void* const argument = context.load(std::memory_order_relaxed);
      if (!next.compare_exchange_weak(first, first + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      function(argument, static_cast<int>(static_cast<uint32_t>(first)));
      finished.fetch_add(1, std::memory_order_release);
      return true;
    }
    return false;
  }

  void work() {
    uint32_t seen = 0;
    while (true) {
      seen = await_change(epoch, seen, spin);
      if (stop.load(std::memory_order_relaxed)) return;
      while (do_part()) finished.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : threads_(std::max(1, threads)) {
  shared_ = std::make_unique<Shared>(threads_);
  // Spinning only helps while every thread has a processor of its own.
  if (threads_ > available_threads()) shared_->spin = false;
  for (int i = 1; i < threads_; ++i) shared_->workers.emplace_back([s = shared_.get()] { s->work(); });
}

ThreadPool::~ThreadPool() {
  shared_->stop = true;
  shared_->epoch.fetch_add(1, std::memory_order_release);
  shared_->epoch.notify_all();
}

void ThreadPool::run(void (*task)(void*, int), void* context) {
  if (threads_ == 1) {
    task(context, 0);
    return;
  }
  Shared& s = *shared_;
  s.task.store(task, std::memory_order_relaxed);
  s.context.store(context, std::memory_order_relaxed);
  s.finished.store(0, std::memory_order_relaxed);
  const uint64_t round = (s.next.load(std::memory_order_relaxed) >> 32) + 1;
  s.next.store(round << 32, std::memory_order_release);
  s.epoch.fetch_add(1, std::memory_order_release);
  s.epoch.notify_all();
  while (s.do_part()) {}
  uint32_t done = s.finished.load(std::memory_order_acquire);
  while (done != s.parts) done = await_change(s.finished, done, s.spin);
}

int available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace quamba2
