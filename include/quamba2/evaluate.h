// SPDX-License-Identifier: Apache-2.0
// Quality and speed of an engine.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quamba2/engine.h"

namespace quamba2 {

// The text is tokenized once without special tokens and cut into full windows (the rest is dropped); every window starts
// from a zero state; its first token is not predicted; perplexity = exp(mean negative log-likelihood).
struct PerplexityOptions {
  int64_t window = 2048;
  int64_t max_windows = 0;  // 0: all
};

struct Perplexity {
  double perplexity = 0;
  double bits_per_byte = 0;   // total bits over the bytes of the predicted tokens' text
  double nll = 0;             // mean, natural logarithm
  double standard_error = 0;  // of the perplexity
  int64_t tokens = 0, windows = 0, predicted = 0;
  double seconds = 0;
  std::vector<float> first_window;  // negative log-likelihood of each prediction of the first window
};

Perplexity perplexity(Engine& engine, std::string_view text, const PerplexityOptions& options = {});

// A continuation whose likelihood behind its context is wanted. Both have at least one token.
struct ScoreRequest {
  std::vector<int32_t> context, continuation;
};

struct ContinuationScore {
  double log_likelihood = 0;  // sum over the continuation's tokens, natural logarithm, over all rows of the head
  bool greedy = false;        // every token is the likeliest one
};

// One score a request, as `evaluate_tasks` computes them: a context that several requests have is read once. `chunk` as in
// TaskOptions. Throws Error{kUsage} for requests that are empty or unknown to the model, and a chunk out of range,
// Error{kRuntime} where logits are not finite.
std::vector<ContinuationScore> score(Engine& engine, std::span<const ScoreRequest> requests, int64_t chunk = 0);

// A model measured against a reference on the same text.
struct Comparison {
  Perplexity perplexity;
  double mean_kl = 0;  // mean over predictions of KL(reference || model), nats
  double kl_standard_error = 0;
  double kl_p99 = 0, kl_max = 0;
  double same_top_token = 0;  // share of predictions with the same likeliest token
};

struct Comparisons {
  Perplexity reference;
  std::vector<Comparison> others;  // in the order in which the engines were given
};

// Every other engine measured against the reference, which reads the text once for all of them. All must have the same
// tokenizer and vocabulary: Error{kUsage} otherwise.
Comparisons compare(Engine& reference, std::span<Engine* const> others, std::string_view text,
                    const PerplexityOptions& options = {});

struct BenchOptions {
  std::vector<int64_t> prompts = {512};      // pp tests
  std::vector<int64_t> generations = {128};  // tg tests
  int repetitions = 5;
  bool warm_up = true;
  int batch = 1;  // sequences decoded together
  // Decode with every row of logits brought to this process, as log-probabilities and penalties need them, and given tokens. Else
  // a GPU chooses the likeliest tokens itself and reads them next. On the CPU both are the same: logits, given tokens.
  bool logits = false;
  bool profile = false;  // one more run of each test, timed kernel by kernel
};

struct BenchRow {
  std::string test;                // "pp512", "tg128"
  double mean = 0, deviation = 0;  // tokens a second
  std::vector<double> samples;
  double ceiling = 0;         // tokens a second that the measured ceiling allows
  double share = 0;           // of the ceiling; tg: median over repetitions, each beside what was measured before it
  std::string ceiling_text;   // "read 24.1 GB/s", "FMA 210 GFLOP/s"
  double memory_ceiling = 0;  // tg: what main memory allows, where the ceiling is a cache's
  double memory_share = 0;
  double work = 0;  // bytes a token (tg), operations a token (pp)
};

// What a kernel takes of a test: all steps that it runs together.
struct KernelTime {
  std::string test, op, kernel;
  int steps = 0;       // of one call of the model
  double seconds = 0;  // tg: a token of each sequence; pp: the whole prompt
  double bytes = 0;    // tg: weights, and states read and written; pp: 0
};

struct BenchReport {
  std::vector<BenchRow> rows;
  std::vector<KernelTime> kernels;  // with BenchOptions::profile: of each test, the longest first
  // Bytes a second, operations a second; measured in this run. `read_bandwidth` is of a buffer as large as what a step
  // touches, which may live in a cache; `memory_bandwidth` of one that no cache holds. On a GPU both are of a large copy
  // (bytes read and written), and the peaks are not measured: 0.
  double read_bandwidth = 0, memory_bandwidth = 0, fma_peak = 0, int8_peak = 0;
  std::string machine;
};

// Decode is held against read bandwidth (weights and states read and written), prefill against the peak of the
// instruction that its linears use, with useful operations only: twice the linear weights plus the recurrence as
// defined. Tokenization and sampling are not timed.
BenchReport bench(Engine& engine, const BenchOptions& options = {});

}  // namespace quamba2
