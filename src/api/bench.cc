// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>

#include "api/engine_impl.h"
#include "api/profile.h"
#include "api/work.h"
#include "backends/cpu/ceilings.h"
#include "base/log.h"
#include "base/random.h"
#include "quamba2/error.h"
#include "quamba2/evaluate.h"
#include "runtime/generator.h"

namespace quamba2 {
namespace {

constexpr size_t kBeyondCaches = size_t{512} << 20;

std::string text(const char* format, double value) {
  char out[64];
  std::snprintf(out, sizeof out, format, value);
  return out;
}

std::vector<int32_t> random_ids(int64_t n, int64_t vocabulary) {
  Random random(7);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(random.below(vocabulary)));
  return ids;
}

// Reads a prompt and asks for the logits behind it.
void read_prompt(Executor* executor, const std::vector<int32_t>& ids) {
  executor->reset_state(0);
  const int32_t row = read_tokens(executor, 0, ids);
  executor->logits({&row, 1});
}

// A token of each of some sequences, again and again.
class Decoder {
 public:
  Decoder(Executor* executor, const std::vector<int32_t>& ids, int64_t vocab_size, const BenchOptions& options)
      : executor_(executor), ids_(ids), chooses_(executor->can_choose() && !options.logits) {
    for (int32_t b = 0; b < options.batch; ++b) {
      segments_.push_back({b, 1, b});
      rows_.push_back(b);
      TokenRule greedy;
      greedy.vocabulary = static_cast<int32_t>(vocab_size);
      rules_.push_back(greedy);
    }
    next_.resize(rows_.size());
    chooses_ = chooses_ && rows_.size() <= most();
  }

  void run(int64_t steps) {
    for (int64_t t = 0; t < steps; ++t) chooses_ ? choose(t) : bring_logits(t);
    while (executor_->untaken() > 0) executor_->take_chosen();
  }

 private:
  size_t most() const { return static_cast<size_t>(executor_->limits().max_selected); }

  // The device chooses the likeliest tokens and reads them next; they are known here one step later.
  void choose(int64_t t) {
    for (size_t b = 0; b < next_.size(); ++b) next_[b] = t == 0 ? ids_[b % ids_.size()] : -1 - static_cast<int32_t>(b);
    executor_->run_and_choose(next_, segments_, rows_, rules_);
    if (t > 0) executor_->take_chosen();
  }

  // Logits come here, and nobody looks at them: tokens are given.
  void bring_logits(int64_t t) {
    for (size_t b = 0; b < next_.size(); ++b) next_[b] = ids_[(static_cast<size_t>(t) + b) % ids_.size()];
    executor_->run(next_, segments_);
    for (size_t first = 0; first < rows_.size(); first += most())
      executor_->logits({rows_.data() + first, std::min(most(), rows_.size() - first)});
  }

  Executor* executor_;
  const std::vector<int32_t>& ids_;
  bool chooses_;
  std::vector<Segment> segments_;
  std::vector<int32_t> rows_, next_;
  std::vector<TokenRule> rules_;
};

// A large copy, counting bytes that are read and bytes that are written.
double measure_copy_bandwidth(Device* device) {
  constexpr int kCopies = 20;
  const Storage from(device, kBeyondCaches), to(device, kBeyondCaches);
  double best = 0;
  for (int r = 0; r < 3; ++r) {
    device->synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCopies; ++i) device->copy(to.data(), from.data(), kBeyondCaches);
    device->synchronize();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * kCopies * static_cast<double>(kBeyondCaches) / seconds);
  }
  return best;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// What memory gives, measured before each repetition of a test: on a machine that others use too it changes with time, so
// that one look at it, once, says little about the test. Of a device, which is ours alone, one look is enough.
class Bandwidth {
 public:
  Bandwidth(const Backend& backend, double touched) {
    if (Device* device = backend.device()) {
      beyond_.push_back(measure_copy_bandwidth(device));
      touched_ = beyond_;
      return;
    }
    memory_.emplace(backend.stream().threads, kBeyondCaches);
    buffer_.emplace(backend.stream().threads, static_cast<size_t>(touched));
  }
  bool is_measured() const { return !beyond_.empty(); }
  void measure() {
    if (!memory_) return;
    beyond_.push_back(memory_->measure());
    touched_.push_back(buffer_->measure());
  }
  void forget() {
    if (memory_) beyond_.clear(), touched_.clear();
  }
  double memory() const { return median(beyond_); }
  double touched() const { return median(touched_); }
  // Medians over repetitions of `samples` tokens a second at `work` bytes each, as shares of what was measured before them.
  double memory_share(const std::vector<double>& samples, double work) const { return share(samples, work, beyond_); }
  double touched_share(const std::vector<double>& samples, double work) const { return share(samples, work, touched_); }

 private:
  static double share(const std::vector<double>& samples, double work, const std::vector<double>& rates) {
    std::vector<double> shares;
    for (size_t i = 0; i < samples.size(); ++i)
      shares.push_back(samples[i] * work / rates[std::min(i, rates.size() - 1)]);
    return median(shares);
  }

  std::optional<ReadProbe> memory_, buffer_;
  std::vector<double> beyond_, touched_;
};

// Peaks of arithmetic; those of a device are not measured.
void measure_peaks(const Backend& backend, BenchReport* report) {
  if (backend.device()) return;
  const int threads = backend.stream().threads;
  report->fma_peak = measure_fma_peak(threads);
  report->int8_peak = measure_vnni_peak(threads);
}

template <class Run, class Between>
BenchRow time_row(const std::string& name, double tokens, const BenchOptions& options, bool on_device,
                  ProgressScope* progress, Run run, Between between) {
  BenchRow row;
  row.test = name;
  // Twice: a device records the work of a shape when it comes for the second time (backend/executor.h).
  for (int i = 0; options.warm_up && i < (on_device ? 2 : 1); ++i) run();
  for (int r = 0; r < options.repetitions; ++r) {
    between();
    const auto start = std::chrono::steady_clock::now();
    run();
    row.samples.push_back(tokens / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    progress->advance();
  }
  for (double s : row.samples) row.mean += s / static_cast<double>(row.samples.size());
  for (double s : row.samples) row.deviation += (s - row.mean) * (s - row.mean);
  if (row.samples.size() > 1) row.deviation = std::sqrt(row.deviation / static_cast<double>(row.samples.size() - 1));
  return row;
}

// The time that the measured peaks allow: integer linears at the INT8 peak, all else at the FMA peak.
void hold_against_peaks(const Work& work, const BenchReport& report, double tokens, BenchRow* row) {
  double integer = work.integer_operations, real = work.float_operations;
  (work.head_is_integer ? integer : real) += work.head_operations / tokens;  // one row of logits a prompt
  row->work = integer + real;
  if (report.fma_peak == 0) return;
  row->ceiling = 1.0 / (integer / report.int8_peak + real / report.fma_peak);
  row->share = row->mean / row->ceiling;
  row->ceiling_text = text("FMA %.0f GFLOP/s", report.fma_peak / 1e9);
  if (integer > 0) row->ceiling_text = text("INT8 %.2f TOP/s, ", report.int8_peak / 1e12) + row->ceiling_text;
}

void hold_against_bandwidth(const Work& work, const Bandwidth& bandwidth, bool is_device, int batch, BenchRow* row) {
  // States are read and written.
  row->work = work.weight_bytes / batch + 2 * work.state_bytes;
  row->ceiling = bandwidth.touched() / row->work;
  row->memory_ceiling = bandwidth.memory() / row->work;
  row->share = bandwidth.touched_share(row->samples, row->work);
  row->memory_share = bandwidth.memory_share(row->samples, row->work);
  row->ceiling_text = text(is_device ? "copy %.0f GB/s" : "read %.1f GB/s", bandwidth.touched() / 1e9);
}

}  // namespace

BenchReport bench(Engine& engine, const BenchOptions& options) {
  Executor* executor = &engine.impl().take_over();
  if (options.repetitions < 1 || options.batch < 1 || options.batch > executor->limits().max_sequences) {
    throw Error(ErrorCode::kUsage, "bench options out of range", "",
                "repetitions and batch are at least 1; the engine has " +
                    std::to_string(executor->limits().max_sequences) + " slots");
  }
  const Work work = count_work(*executor);
  BenchReport report;
  report.machine = engine.description();
  const Backend& backend = *engine.impl().backend;
  const bool on_device = backend.device() != nullptr;
  measure_peaks(backend, &report);
  // On a buffer of the size that a step touches: a small model may live in a cache.
  Bandwidth bandwidth(backend, work.weight_bytes + 2 * work.state_bytes * options.batch);
  const std::vector<int32_t> ids = random_ids(4096, engine.vocab_size());
  ProgressScope progress(
      "benchmarking", static_cast<int64_t>(options.prompts.size() + options.generations.size()) * options.repetitions);
  for (int64_t n : options.prompts) {
    std::vector<int32_t> prompt;
    for (int64_t i = 0; i < n; ++i) prompt.push_back(ids[static_cast<size_t>(i) % ids.size()]);
    if (prompt.empty()) continue;
    const auto tokens = static_cast<double>(n);
    report.rows.push_back(time_row(
        "pp" + std::to_string(n), tokens, options, on_device, &progress, [&] { read_prompt(executor, prompt); },
        [] {}));
    hold_against_peaks(work, report, tokens, &report.rows.back());
    if (options.profile) {
      Profile profile(executor);
      read_prompt(executor, prompt);
      profile.report(report.rows.back().test, 1, 0, &report.kernels);
    }
  }
  Decoder decoder(executor, ids, engine.vocab_size(), options);
  for (int64_t n : options.generations) {
    if (n < 1) continue;
    const double tokens = static_cast<double>(n) * options.batch;
    bandwidth.forget();
    report.rows.push_back(time_row(
        "tg" + std::to_string(n), tokens, options, on_device, &progress, [&] { decoder.run(n); },
        [&] { bandwidth.measure(); }));
    hold_against_bandwidth(work, bandwidth, on_device, options.batch, &report.rows.back());
    if (options.profile) {
      Profile profile(executor);
      decoder.run(n);
      profile.report(report.rows.back().test, n, options.batch, &report.kernels);
    }
  }
  if (!bandwidth.is_measured()) bandwidth.measure();  // prompts alone
  report.memory_bandwidth = bandwidth.memory();
  report.read_bandwidth = bandwidth.touched();
  return report;
}

}  // namespace quamba2
