// SPDX-License-Identifier: Apache-2.0
#include "quamba2/evaluate.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "api/engine_impl.h"
#include "eval/perplexity.h"
#include "eval/score.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

void check_window(const PerplexityOptions& options) {
  if (options.window >= 2 && options.window <= (int64_t{1} << 30)) return;
  throw Error(ErrorCode::kUsage, "window out of range", std::to_string(options.window), "at least 2 tokens are needed");
}

// Bits over the bytes of the text that was predicted: what the windows decode to, without their first tokens.
void add_bits_per_byte(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, const PerplexityOptions& options,
                       Perplexity* p) {
  size_t bytes = 0;
  for (int64_t w = 0; w < p->windows; ++w) {
    const auto begin = ids.begin() + w * options.window;
    bytes += tokenizer.decode({begin + 1, begin + options.window}).size();
  }
  if (bytes > 0)
    p->bits_per_byte = p->nll * static_cast<double>(p->predicted) / std::log(2.0) / static_cast<double>(bytes);
}

}  // namespace

Perplexity perplexity(Engine& engine, std::string_view text, const PerplexityOptions& options) {
  check_window(options);
  const std::vector<int32_t> ids = engine.tokenizer().encode(text);
  Perplexity out = measure_perplexity(engine.impl().take_over(), ids, options);
  add_bits_per_byte(engine.tokenizer(), ids, options, &out);
  return out;
}

std::vector<ContinuationScore> score(Engine& engine, std::span<const ScoreRequest> requests, int64_t chunk) {
  check_chunk(engine, chunk);
  ReadingTree tree(true, chunk);
  const auto rows = static_cast<int32_t>(engine.table_rows());
  const auto known = [rows](const std::vector<int32_t>& ids) {
    return !ids.empty() && std::all_of(ids.begin(), ids.end(), [rows](int32_t id) { return id >= 0 && id < rows; });
  };
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!known(requests[i].context) || !known(requests[i].continuation)) {
      throw Error(ErrorCode::kUsage, "continuation cannot be scored", "request " + std::to_string(i),
                  "context or continuation is empty, or has ids beyond the vocabulary of " + std::to_string(rows));
    }
    tree.add({}, requests[i].context, requests[i].continuation);
  }
  std::vector<ContinuationScore> out;
  for (const Score& s : score_requests(engine.impl().take_over(), tree, "scoring"))
    out.push_back({s.log_likelihood, s.greedy});
  return out;
}

Comparisons compare(Engine& reference, std::span<Engine* const> others, std::string_view text,
                    const PerplexityOptions& options) {
  check_window(options);
  const std::vector<int32_t> ids = reference.tokenizer().encode(text);
  std::vector<Executor*> executors;
  for (Engine* other : others) {
    if (other->tokenizer().encode(text) != ids) {
      throw Error(ErrorCode::kUsage, "models cannot be compared", "",
                  "their tokenizers give different ids for this text",
                  "compare a model with a quantized form of itself");
    }
    executors.push_back(&other->impl().take_over());
  }
  Comparisons out = measure_differences(reference.impl().take_over(), executors, ids, options);
  add_bits_per_byte(reference.tokenizer(), ids, options, &out.reference);
  for (Comparison& c : out.others) add_bits_per_byte(reference.tokenizer(), ids, options, &c.perplexity);
  return out;
}

}  // namespace quamba2
