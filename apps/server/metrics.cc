// SPDX-License-Identifier: Apache-2.0
#include "metrics.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace quamba2::server {
namespace {

// Label values keep backslash, quote and line break by escaping (Prometheus' exposition format).
std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

void head(std::string* out, const std::string& name, std::string_view help, const char* type) {
  *out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

const std::vector<double> kFirstToken = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                         1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
const std::vector<double> kInterval = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15,
                                       0.2,   0.3,    0.4,   0.5,  0.75,  1,    2.5,   5,   10};
const std::vector<double> kLatency = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                      30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
const std::vector<double> kTokens = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};
const std::vector<double> kStepTokens = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
const std::vector<double> kChoices = {1, 2, 5, 10, 20};

const double kProcessStart = static_cast<double>(std::time(nullptr));

}  // namespace

void Metrics::Histogram::observe(double value) {
  ++counts[static_cast<size_t>(std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin())];
  sum += value;
}

void Metrics::add_histogram(const char* name, const char* help, std::vector<double> bounds) {
  std::vector<uint64_t> counts(bounds.size() + 1);
  histograms_.emplace(name, Histogram{help, std::move(bounds), std::move(counts)});
}

Metrics::Metrics(std::string prefix, std::string model) : prefix_(std::move(prefix)), model_(std::move(model)) {
  add_histogram("time_to_first_token_seconds", "From the request to its first token.", kFirstToken);
  add_histogram("inter_token_latency_seconds", "Between two tokens of a text.", kInterval);
  add_histogram("e2e_request_latency_seconds", "From the request to its end.", kLatency);
  add_histogram("request_queue_time_seconds", "Waiting for a state slot.", kLatency);
  add_histogram("request_prefill_time_seconds", "Reading the prompt.", kLatency);
  add_histogram("request_decode_time_seconds", "Generating after the first token.", kLatency);
  add_histogram("request_inference_time_seconds", "Reading and generating.", kLatency);
  add_histogram("request_prompt_tokens", "Tokens of the prompt.", kTokens);
  add_histogram("request_generation_tokens", "Generated tokens.", kTokens);
  add_histogram("request_params_n", "The request's n.", kChoices);
  add_histogram("request_params_max_tokens", "The request's max_tokens.", kTokens);
  add_histogram("iteration_tokens_total", "Tokens of one call of the model.", kStepTokens);
}

void Metrics::set_model(const std::string& model) {
  const std::lock_guard lock(mutex_);
  model_ = model;
}

void Metrics::step(const StepReport& step) {
  const std::lock_guard lock(mutex_);
  prompt_tokens_ += step.prompt_tokens;
  generation_tokens_ += step.decoded_tokens;
  histogram("iteration_tokens_total").observe(step.prompt_tokens + step.decoded_tokens);
}

void Metrics::token_interval(double seconds) {
  const std::lock_guard lock(mutex_);
  histogram("inter_token_latency_seconds").observe(seconds);
}

void Metrics::finished(const FinishedRequest& r) {
  const std::lock_guard lock(mutex_);
  ++success_[r.reason];
  cache_queries_ += r.usage.prompt_tokens;
  cache_hits_ += r.usage.cached_tokens;
  if (r.first_token_seconds >= 0) histogram("time_to_first_token_seconds").observe(r.first_token_seconds);
  histogram("e2e_request_latency_seconds").observe(r.seconds);
  histogram("request_queue_time_seconds").observe(r.usage.queue_seconds);
  histogram("request_prefill_time_seconds").observe(r.usage.prompt_seconds);
  histogram("request_decode_time_seconds").observe(r.usage.generation_seconds);
  histogram("request_inference_time_seconds").observe(r.usage.prompt_seconds + r.usage.generation_seconds);
  histogram("request_prompt_tokens").observe(static_cast<double>(r.usage.prompt_tokens));
  histogram("request_generation_tokens").observe(static_cast<double>(r.usage.generated_tokens));
  histogram("request_params_n").observe(static_cast<double>(r.n));
  histogram("request_params_max_tokens").observe(static_cast<double>(r.max_tokens));
}

void Metrics::http(std::string_view handler, std::string_view method, int status) {
  const std::string labels =
      fmt::format("handler=\"{}\",method=\"{}\",status=\"{}\"", escaped(handler), escaped(method), status);
  const std::lock_guard lock(mutex_);
  ++http_[labels];
}

std::string Metrics::text(const std::vector<Gauge>& gauges, const std::map<std::string, std::string>& build) const {
  const std::lock_guard lock(mutex_);
  const std::string labels = fmt::format("model_name=\"{}\",engine=\"0\"", escaped(model_));
  std::string out;
  const auto counter = [&](const char* name, const char* help, int64_t value) {
    head(&out, prefix_ + name, help, "counter");
    out += fmt::format("{}{}{{{}}} {}\n", prefix_, name, labels, value);
  };
  for (const Gauge& g : gauges) {
    const bool own = g.name.rfind("process_", 0) != 0;  // Prometheus' own names have no prefix
    const std::string name = own ? prefix_ + g.name : g.name;
    head(&out, name, g.help, g.name.ends_with("_total") ? "counter" : "gauge");
    out += own ? fmt::format("{}{{{}}} {}\n", name, labels, g.value) : fmt::format("{} {}\n", name, g.value);
  }
  counter("prompt_tokens_total", "Tokens of prompts that were read.", prompt_tokens_);
  counter("generation_tokens_total", "Tokens that were decoded.", generation_tokens_);
  counter("num_preemptions_total", "Running requests that lost their slot; none does.", 0);
  counter("prefix_cache_queries_total", "Tokens of prompts that were looked for among kept states.", cache_queries_);
  counter("prefix_cache_hits_total", "Those that were found, and not read again.", cache_hits_);
  head(&out, prefix_ + "request_success_total", "Requests that ended, by reason.", "counter");
  for (const auto& [reason, count] : success_)
    out += fmt::format("{}request_success_total{{{},finished_reason=\"{}\"}} {}\n", prefix_, labels, reason, count);
  head(&out, prefix_ + "http_requests_total", "HTTP requests that were answered.", "counter");
  for (const auto& [of, count] : http_) out += fmt::format("{}http_requests_total{{{}}} {}\n", prefix_, of, count);
  for (const auto& [name, h] : histograms_) {
    head(&out, prefix_ + name, h.help, "histogram");
    uint64_t so_far = 0;
    for (size_t i = 0; i < h.counts.size(); ++i) {
      so_far += h.counts[i];
      const std::string bound = i < h.bounds.size() ? fmt::format("{}", h.bounds[i]) : "+Inf";
      out += fmt::format("{}{}_bucket{{{},le=\"{}\"}} {}\n", prefix_, name, labels, bound, so_far);
    }
    out += fmt::format("{0}{1}_sum{{{2}}} {3}\n{0}{1}_count{{{2}}} {4}\n", prefix_, name, labels, h.sum, so_far);
  }
  head(&out, prefix_ + "build_info", "What runs here.", "gauge");
  std::string what;
  for (const auto& [name, value] : build)
    what += fmt::format("{}{}=\"{}\"", what.empty() ? "" : ",", name, escaped(value));
  return out + fmt::format("{}build_info{{{}}} 1\n", prefix_, what);
}

std::vector<Gauge> process_gauges() {
  long pages = 0, ignored = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld %ld", &ignored, &pages) != 2) pages = 0;
    std::fclose(file);
  }
  int files = 0;
  if (DIR* folder = opendir("/proc/self/fd")) {
    while (readdir(folder)) ++files;
    closedir(folder);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return {{"process_resident_memory_bytes", "Memory in use.",
           static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE))},
          {"process_cpu_seconds_total", "Processor time.", seconds(usage.ru_utime) + seconds(usage.ru_stime)},
          {"process_open_fds", "Open file descriptors.", static_cast<double>(std::max(0, files - 3))},
          {"process_start_time_seconds", "Start of the process, in Unix time.", kProcessStart}};
}

}  // namespace quamba2::server
