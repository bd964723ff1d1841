// SPDX-License-Identifier: Apache-2.0
// What to ask of a continuation, and what comes back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2 {

struct TokenBias {
  int32_t id = 0;
  double bias = 0;  // added to the token's logit; -100 as good as forbids it
};

struct SamplingOptions {
  int64_t max_tokens = 128;
  double temperature = 0;  // 0: greedy
  int64_t top_k = 0;       // 0: off
  double top_p = 1;        // 1: off
  double min_p = 0;        // 0: off; keeps tokens of at least this share of the likeliest one's probability
  double repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  uint64_t seed = 0;
  std::vector<std::string> stop = {};  // strings that end the text; they are not part of it
  bool ignore_eos = false;
  std::vector<int32_t> stop_token_ids = {};  // end the text as the model's own end does
  int64_t min_tokens = 0;                    // before so many no token comes that ends the text
  std::vector<TokenBias> logit_bias = {};
  bool skip_special_tokens = true;  // in the text
};

enum class FinishReason { kLength, kStop, kEndOfText, kCancelled, kDeadline };
const char* name_of(FinishReason reason);  // "length", "stop", "end_of_text", "cancelled", "deadline"

struct Completion {
  std::vector<int32_t> prompt_ids, ids;
  std::string text;
  FinishReason finish = FinishReason::kLength;
};

// Called with whole UTF-8 characters as they come; returning false ends that prompt's text.
using TextSink = std::function<bool(size_t prompt, std::string_view piece)>;

struct GenerationTimes {
  int64_t prompt_tokens = 0, generated_tokens = 0;
  double prompt_seconds = 0, generation_seconds = 0;
};

}  // namespace quamba2
