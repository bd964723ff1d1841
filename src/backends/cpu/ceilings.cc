// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/ceilings.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "backends/cpu/levels.h"
#include "backends/cpu/table.h"
#include "base/memory.h"
#include "base/thread_pool.h"

namespace quamba2 {
namespace {

constexpr double kSeconds = 0.1;
std::atomic<float> sink;  // results go here, so that loops are not removed

// Of the level in use, which is found out once: this is asked for inside of what is timed.
const CpuPeakLoops& loops() {
  static const CpuPeakLoops& of_level = []() -> const CpuPeakLoops& {
    const KernelTable& used = cpu_table();
    const std::vector<CpuLevel>& all = cpu_levels();
    return *std::find_if(all.begin(), all.end(), [&](const CpuLevel& level) { return level.table == &used; })->peaks;
  }();
  return of_level;
}

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The best rate of rounds of `work` operations, over kSeconds and at least three rounds.
template <class Function>
double best_rate(int threads, double work, const Function& function) {
  ThreadPool pool(threads);
  const double end = seconds() + kSeconds;
  double best = 0;
  for (int round = 0; round < 4 || seconds() < end; ++round) {
    const double start = seconds();
    pool.run([](void* context, int index) { (*static_cast<const Function*>(context))(index); },
             const_cast<Function*>(&function));
    if (round > 0) best = std::max(best, work / (seconds() - start));
  }
  return best;
}

}  // namespace

ReadProbe::ReadProbe(int threads, size_t bytes)
    : threads_(threads),
      share_(std::max<size_t>(bytes / static_cast<size_t>(threads) / 4096 * 4096, 4096)),
      buffer_(share_ * static_cast<size_t>(threads)) {
  std::fill_n(static_cast<char*>(buffer_.data()), buffer_.size(), static_cast<char>(1));
}

double ReadProbe::measure() const {
  const char* data = static_cast<const char*>(buffer_.data());
  const int64_t repeats = std::max<int64_t>(1, static_cast<int64_t>((1 << 22) / buffer_.size()));
  return best_rate(threads_, static_cast<double>(buffer_.size()) * static_cast<double>(repeats), [&](int index) {
    for (int64_t i = 0; i < repeats; ++i) {
      sink = loops().read(data + static_cast<size_t>(index) * share_, static_cast<int64_t>(share_));
    }
  });
}

double measure_read_bandwidth(int threads, size_t bytes) { return ReadProbe(threads, bytes).measure(); }

double measure_fma_peak(int threads) {
  constexpr int64_t kRounds = 100000;
  const double work = static_cast<double>(threads) * static_cast<double>(loops().fma_operations * kRounds);
  return best_rate(threads, work, [](int) { sink = loops().fma(kRounds); });
}

double measure_vnni_peak(int threads) {
  constexpr int64_t kRounds = 100000;
  const double work = static_cast<double>(threads) * static_cast<double>(loops().dot_operations * kRounds);
  return best_rate(threads, work, [](int) { sink = loops().dot(kRounds); });
}

}  // namespace quamba2
