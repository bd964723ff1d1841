// SPDX-License-Identifier: Apache-2.0
#include "load_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace quamba2::load {
namespace {

double quantile(const std::vector<double>& sorted, double q) {  // as numpy: linear between neighbours
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double tokens_an_event(const RequestResult& r) {
  return static_cast<double>(r.output_tokens) / static_cast<double>(std::max<size_t>(r.texts.size(), 1));
}

LoadReport::Window find_window(const std::vector<RequestResult>& requests, size_t round) {
  LoadReport::Window w;
  double begin = 0, end = 1e300;
  for (size_t i = 0; i < std::min(round, requests.size()); ++i) {
    const RequestResult& r = requests[i];
    if (!r.error.empty() || r.texts.empty()) return {};
    begin = std::max(begin, r.texts.front());
    end = std::min(end, r.texts.back());
    ++w.streams;
  }
  if (w.streams == 0 || end <= begin) return {};
  w.seconds = end - begin;
  w.least = 1e300;
  for (size_t i = 0; i < w.streams; ++i) {
    const RequestResult& r = requests[i];
    const auto events = std::count_if(r.texts.begin(), r.texts.end(), [&](double t) { return t > begin && t <= end; });
    const double tokens = static_cast<double>(events) * tokens_an_event(r);
    w.tokens += tokens;
    w.least = std::min(w.least, tokens);
    w.most = std::max(w.most, tokens);
  }
  return w;
}

std::string heading(const std::string& text) { return fmt::format("{:-^50}\n", text); }

std::string line(const std::string& name, const std::string& value) {
  return fmt::format("{:<40} {:<9}\n", name, value);
}
std::string line(const std::string& name, double value) { return line(name, fmt::format("{:.2f}", value)); }
std::string line(const std::string& name, int64_t value) { return line(name, fmt::format("{}", value)); }

std::string times(const std::string& title, const std::string& name, const Distribution& d, bool with_max) {
  std::string out = heading(title);
  out += line(fmt::format("Mean {} (ms):", name), 1e3 * d.mean) +
         line(fmt::format("Median {} (ms):", name), 1e3 * d.median);
  out += line(fmt::format("P99 {} (ms):", name), 1e3 * d.p99);
  if (with_max) out += line(fmt::format("Longest {} (ms):", name), 1e3 * d.max);
  return out;
}

}  // namespace

Distribution distribution(std::vector<double> values) {
  Distribution d;
  if (values.empty()) return d;
  std::sort(values.begin(), values.end());
  d.count = values.size();
  for (const double v : values) d.mean += v / static_cast<double>(values.size());
  d.median = quantile(values, 0.5);
  d.p99 = quantile(values, 0.99);
  d.max = values.back();
  return d;
}

LoadReport summarize(const LoadResult& result, size_t round) {
  LoadReport out;
  std::vector<double> first, per_token, between, whole;
  for (const RequestResult& r : result.requests) {
    if (r.end < 0) {
      ++out.unfinished;
      continue;
    }
    if (!r.error.empty()) {
      ++out.failed;
      ++out.failures[r.error];
      continue;
    }
    ++out.good;
    out.input_tokens += r.input_tokens;
    out.output_tokens += r.output_tokens;
    whole.push_back(r.end - r.sent);
    if (r.texts.empty()) continue;
    first.push_back(r.texts.front() - r.sent);
    for (size_t i = 1; i < r.texts.size(); ++i) between.push_back(r.texts[i] - r.texts[i - 1]);
    if (r.output_tokens > 1)
      per_token.push_back((r.texts.back() - r.texts.front()) / static_cast<double>(r.output_tokens - 1));
  }
  out.seconds = result.seconds;
  out.first_token = distribution(std::move(first));
  out.per_token = distribution(std::move(per_token));
  out.between = distribution(std::move(between));
  out.whole = distribution(std::move(whole));
  std::vector<double> beside;
  for (const RequestResult& r : result.beside) {
    if (!r.error.empty()) ++out.beside_failed;
    if (r.end >= 0 && r.error.empty()) beside.push_back((r.texts.empty() ? r.end : r.texts.front()) - r.sent);
  }
  out.beside_first_token = distribution(std::move(beside));
  out.health = distribution(result.health);
  out.health_failures = result.health_failures;
  out.memory = result.memory;
  out.window = find_window(result.requests, round);
  return out;
}

std::string report_text(const LoadReport& r, int concurrency, double rate) {
  std::string out = fmt::format("{:=^50}\n", " Serving Benchmark Result ");
  out += line("Successful requests:", static_cast<int64_t>(r.good));
  out += line("Failed requests:", static_cast<int64_t>(r.failed));
  if (r.unfinished > 0) out += line("Unfinished requests:", static_cast<int64_t>(r.unfinished));
  if (concurrency > 0) out += line("Maximum request concurrency:", int64_t{concurrency});
  if (rate > 0) out += line("Request rate configured (RPS):", rate);
  out += line("Benchmark duration (s):", r.seconds);
  out += line("Total input tokens:", r.input_tokens);
  out += line("Total generated tokens:", r.output_tokens);
  out += line("Request throughput (req/s):", r.requests_a_second());
  out += line("Output token throughput (tok/s):", r.output_rate());
  out += line("Total token throughput (tok/s):",
              r.seconds > 0 ? static_cast<double>(r.input_tokens + r.output_tokens) / r.seconds : 0.0);
  out += times("Time to First Token", "TTFT", r.first_token, true);
  out += times("Time per Output Token (excl. 1st token)", "TPOT", r.per_token, false);
  out += times("Inter-token Latency", "ITL", r.between, true);
  if (r.window.seconds > 0) {
    out += heading(fmt::format("While {} streams grow", r.window.streams));
    out += line("Duration (s):", r.window.seconds);
    out += line("Output token throughput (tok/s):", r.window_rate());
    out += line("Tokens of a stream, least and most:", fmt::format("{:.0f} {:.0f}", r.window.least, r.window.most));
  }
  if (r.beside_first_token.count + r.beside_failed > 0) {
    out += line("Prompts read beside them:", static_cast<int64_t>(r.beside_first_token.count));
    out += line("Failed:", static_cast<int64_t>(r.beside_failed));
    out += times("Time to their first token", "TTFT", r.beside_first_token, true);
  }
  if (r.health.count + static_cast<size_t>(r.health_failures) > 0) {
    out += times("Answers to /health", "health", r.health, true);
    out += line("Failed:", int64_t{r.health_failures});
  }
  if (!r.memory.empty()) out += heading("Server's memory (MiB)");
  for (const auto& [done, bytes] : r.memory) out += line(fmt::format("After {} requests:", done), bytes / (1 << 20));
  out += fmt::format("{:=^50}\n", "");
  size_t shown = 0;
  for (const auto& [why, count] : r.failures) {
    if (++shown > 5) {
      out += fmt::format("... and {} other reasons\n", r.failures.size() - 5);
      break;
    }
    out += fmt::format("{} failed: {}\n", count, why);
  }
  return out;
}

}  // namespace quamba2::load
