// SPDX-License-Identifier: Apache-2.0
#include "quamba2/evaluate.h"

#include <cmath>

#include "api/engine_impl.h"
#include "eval/perplexity.h"
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
  Perplexity out = measure_perplexity(*engine.impl().executor, ids, options);
  add_bits_per_byte(engine.tokenizer(), ids, options, &out);
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
    executors.push_back(other->impl().executor.get());
  }
  Comparisons out = measure_differences(*reference.impl().executor, executors, ids, options);
  add_bits_per_byte(reference.tokenizer(), ids, options, &out.reference);
  for (Comparison& c : out.others) add_bits_per_byte(reference.tokenizer(), ids, options, &c.perplexity);
  return out;
}

}  // namespace quamba2
