// SPDX-License-Identifier: Apache-2.0
// Counters and histograms in Prometheus' text format, under vLLM's names with a prefix of our own (docs/serving.md).
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "quamba2/request.h"

namespace quamba2::server {

struct FinishedRequest {
  std::string reason;  // "stop", "length", "abort"
  GenerationUsage usage;
  double first_token_seconds = -1;  // -1: none came
  double seconds = 0;
  int64_t max_tokens = 0, n = 1;
};

struct Gauge {
  std::string name, help;
  double value = 0;
};

// Every function may be called from any thread.
class Metrics {
 public:
  Metrics(std::string prefix, std::string model);

  void set_model(const std::string& model);  // the label of all
  void step(const StepReport& step);
  void token_interval(double seconds);  // between two tokens of one text
  void finished(const FinishedRequest& request);
  void http(std::string_view handler, std::string_view method, int status);
  // The page, with gauges as they are now. `build` are the labels of build_info.
  std::string text(const std::vector<Gauge>& gauges, const std::map<std::string, std::string>& build) const;

 private:
  struct Histogram {
    std::string help;
    std::vector<double> bounds;
    std::vector<uint64_t> counts;  // [bounds + 1], not cumulative
    double sum = 0;
    void observe(double value);
  };
  Histogram& histogram(const char* name) { return histograms_.at(name); }
  void add_histogram(const char* name, const char* help, std::vector<double> bounds);

  mutable std::mutex mutex_;
  std::string prefix_, model_;
  std::map<std::string, Histogram> histograms_;
  int64_t prompt_tokens_ = 0, generation_tokens_ = 0, cache_queries_ = 0, cache_hits_ = 0;
  std::map<std::string, int64_t> success_;  // by reason
  std::map<std::string, int64_t> http_;     // by labels
};

// Of this process, from /proc: resident bytes, processor seconds, open files, start time.
std::vector<Gauge> process_gauges();

}  // namespace quamba2::server
