// SPDX-License-Identifier: Apache-2.0
// From a row of logits to the next token: bias, penalties, temperature, top-k, top-p, min-p, then one draw. The order is that
// of Hugging Face and vLLM.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/random.h"
#include "ops/choose_token.h"
#include "quamba2/generate.h"

namespace quamba2 {

// Throws Error{kUsage} that names the option and its range. `max_tokens` and `stop` are looked at too.
void check_sampling_options(const SamplingOptions& options);

// One sequence's sampler. The same options, logits and history give the same tokens on every machine whose logits agree.
class Sampler {
 public:
  // Ids from `vocab_size` on are padding rows and never come out.
  // `draws`: random numbers of the seed that were used before.
  Sampler(const SamplingOptions& options, int64_t vocab_size, uint64_t draws = 0);

  // Ids that do not come out before `min_tokens` tokens were accepted: those that end the text.
  void forbid_at_first(std::span<const int32_t> ids);
  // The prompt counts for the repetition penalty alone; presence and frequency look at generated tokens only.
  void observe_prompt(std::span<const int32_t> ids);
  // A generated token, which `sample` does not note by itself.
  void accept(int32_t id);

  // `logits` holds a row of the head, padding included. Greedy at temperature 0: the lowest
  // id among the largest logits. Where logits tie at the edge of top-k, the lowest ids stay, so exactly k are left.
  // Throws Error{kRuntime} for a NaN, and where every logit is -inf.
  int32_t sample(std::span<const float> logits);
  uint64_t draws() const { return random_.counter(); }

  // What a device needs to choose as `sample` does `ahead` tokens from now, where nothing but the row counts, now and later. Else
  // nothing.
  std::optional<TokenRule> rule(int64_t ahead = 0) const;
  // In the place of `sample`, with what came of that rule. Throws as it does.
  int32_t take_chosen(int32_t chosen);

 private:
  struct Candidate {
    float logit;
    int32_t id;
  };
  bool forbids() const { return accepted_ < options_.min_tokens && !forbidden_.empty(); }
  std::span<const float> adjusted(std::span<const float> logits);
  int32_t draw(std::span<const float> logits, float largest);
  int32_t draw_sorted(std::span<const float> logits, float largest);
  void select_largest(std::span<const float> logits, size_t count);
  double weight(float logit, float largest) const;
  size_t nucleus(std::span<const float> logits, float largest);
  void note(int32_t id, bool generated);

  SamplingOptions options_;
  int64_t vocab_size_;
  bool penalties_;
  int64_t accepted_ = 0;
  Random random_;
  std::vector<int32_t> seen_;       // ids of prompt and text, each once
  std::vector<bool> is_seen_;       // [vocab_size] where penalties are on, else empty, as the next
  std::vector<int32_t> generated_;  // times that an id was generated
  std::vector<int32_t> forbidden_;  // while fewer than min_tokens are accepted
  std::vector<float> adjusted_;     // scratch: the row with bias and penalties
  std::vector<Candidate> largest_;  // scratch of select_largest: sorted, largest logit first
};

}  // namespace quamba2
