// SPDX-License-Identifier: Apache-2.0
// One text asked of a service, and what comes back while it grows.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quamba2/error.h"
#include "quamba2/generate.h"
#include "quamba2/paused_text.h"

namespace quamba2 {

struct GenerationRequest {
  std::vector<int32_t> prompt;  // at least one token, unless `from` has some that are not read yet
  SamplingOptions sampling = {};
  // Log-probabilities of generated tokens and of the prompt's, each with that many likeliest ones; -1: none.
  int32_t logprobs = -1, prompt_logprobs = -1;
  uint64_t group = 0;      // groups of requests take turns in the queue, whatever their sizes
  bool cache_end = false;  // see ServiceOptions::cache_bytes
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
  // The text that the prompt follows. Without a prompt, it is that text itself that goes on, as if it had not paused.
  std::shared_ptr<const PausedText> from = {};
  bool return_paused = false;  // the last update has the paused text behind the text
};

struct TokenScore {
  int32_t id = 0;
  double log_probability = 0;  // natural, at temperature 1, before bias, penalties and filters
};

struct TokenReport {
  int32_t id = 0;
  double log_probability = std::numeric_limits<double>::quiet_NaN();  // not a number where not asked for
  std::vector<TokenScore> top = {};                                   // likeliest first
};

struct GenerationUsage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;                                             // of the prompt, not read again
  int64_t generated_tokens = 0;                                          // with the one that ended the text
  double queue_seconds = 0, prompt_seconds = 0, generation_seconds = 0;  // waiting, reading, decoding
};

struct GenerationUpdate {
  std::string text;                        // whole UTF-8 characters that follow those of earlier updates
  std::vector<TokenReport> prompt_tokens;  // with prompt_logprobs; the first token has no probability
  std::vector<TokenReport> tokens;         // generated, the one that ended the text too
  GenerationUsage usage;                   // so far
  bool finished = false;                   // the last update of its request
  FinishReason finish = FinishReason::kLength;
  int32_t end_token = -1;  // what ended the text: the last of its tokens, which has no text; -1: no token did
  std::shared_ptr<const PausedText> paused = {};  // with return_paused; without the token that ended the text
  std::optional<Error> error = {};                // why the request failed; it is finished then
};

// Returning false cancels the request.
using GenerationSink = std::function<bool(GenerationUpdate&& update)>;

// One call of the model, as a service made it.
struct StepReport {
  int32_t prompt_tokens = 0, decoded_tokens = 0;  // read in it
  int32_t running = 0, waiting = 0;               // requests
  double seconds = 0;
};
using StepSink = std::function<void(const StepReport& step)>;

}  // namespace quamba2
