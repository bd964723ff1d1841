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

struct ThreadPool::Shared {
  alignas(64) std::atomic<uint32_t> epoch{0};     // a new value starts a round
  alignas(64) std::atomic<uint32_t> finished{0};  // workers done, counted up for ever
  alignas(64) std::atomic<bool> stop{false};
  void (*task)(void*, int) = nullptr;
  void* context = nullptr;
  bool spin = true;
  std::vector<std::jthread> workers;

  void work(int index) {
    uint32_t seen = 0;
    while (true) {
      seen = await_change(epoch, seen, spin);
      if (stop.load(std::memory_order_relaxed)) return;
      task(context, index);
      finished.fetch_add(1, std::memory_order_release);
      finished.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : shared_(std::make_unique<Shared>()), threads_(std::max(1, threads)) {
  // Spinning only helps while every thread has a processor of its own.
  if (threads_ > available_threads()) shared_->spin = false;
  for (int i = 1; i < threads_; ++i) shared_->workers.emplace_back([s = shared_.get(), i] { s->work(i); });
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
  s.task = task;
  s.context = context;
  const uint32_t target = s.finished.load(std::memory_order_relaxed) + static_cast<uint32_t>(threads_ - 1);
  s.epoch.fetch_add(1, std::memory_order_release);
  s.epoch.notify_all();
  task(context, 0);
  uint32_t now = s.finished.load(std::memory_order_acquire);
  while (now != target) now = await_change(s.finished, now, s.spin);
}

int available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace quamba2
