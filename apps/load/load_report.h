// SPDX-License-Identifier: Apache-2.0
// What a load's times mean: vLLM's figures, whether streams were treated alike, and how alert the server stayed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "load_run.h"

namespace quamba2::load {

// Seconds. All 0 where nothing was measured.
struct Distribution {
  size_t count = 0;
  double mean = 0, median = 0, p99 = 0, max = 0;
};
Distribution distribution(std::vector<double> values);

struct LoadReport {
  size_t good = 0, failed = 0, unfinished = 0;  // unfinished: the run was stopped before
  std::map<std::string, size_t> failures;       // by reason
  double seconds = 0;
  int64_t input_tokens = 0, output_tokens = 0;
  // TTFT: from sending to the first event with text. ITL: between two events. TPOT: a request's time after its first
  // token, over its other tokens.
  Distribution first_token, per_token, between, whole, health;
  Distribution beside_first_token;  // of the requests beside the load, those that were answered
  size_t beside_failed = 0;
  int health_failures = 0;
  std::vector<std::pair<size_t, double>> memory;  // as LoadResult has them
  // The time in which every request of the first round grows: `streams` of them, from the last one's first text to the first
  // one's last. Tokens of a stream are its count, spread evenly over its events. No window: 0 seconds.
  struct Window {
    double seconds = 0, tokens = 0;
    size_t streams = 0;
    double least = 0, most = 0;  // tokens of one stream in it
  } window;

  double requests_a_second() const { return seconds > 0 ? static_cast<double>(good) / seconds : 0; }
  double output_rate() const { return seconds > 0 ? static_cast<double>(output_tokens) / seconds : 0; }
  double window_rate() const { return window.seconds > 0 ? window.tokens / window.seconds : 0; }
};

// `round`: how many requests grow at a time, as the first ones did; 0: no window.
LoadReport summarize(const LoadResult& result, size_t round);

// The block that `vllm bench serve` prints, with lines of our own where it has none. `concurrency` or `rate` is 0.
std::string report_text(const LoadReport& report, int concurrency, double rate);

}  // namespace quamba2::load
