// SPDX-License-Identifier: Apache-2.0
// The body of POST /v1/completions: OpenAI's fields, and vLLM's beside them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "json_fields.h"
#include "quamba2/generate.h"

namespace quamba2::server {

struct RequestLimits {
  int64_t max_length = 1 << 17;                      // tokens of prompt and text together
  int64_t max_choices = 128;                         // n and best_of
  int64_t max_prompts = 2048;                        // in one request
  bool strict = false;                               // members that nobody knows are errors
  std::function<void(const std::string&)> log = {};  // hears of those that are not
};

using Prompt = std::variant<std::string, std::vector<int32_t>>;

struct CompletionRequest {
  std::string model;
  std::vector<Prompt> prompts;
  SamplingOptions sampling;
  int64_t n = 1, best_of = 1;
  bool echo = false, stream = false, include_usage = false;
  int32_t logprobs = -1, prompt_logprobs = -1;  // -1: none
  bool add_special_tokens = true, return_token_ids = false;
};

// Throws ApiError 400 naming the member.
CompletionRequest parse_completion(std::string_view body, const RequestLimits& limits);

// What completions and chat share: sampling, stop, seed, penalties, bias; max_tokens is the caller's.
SamplingOptions parse_sampling(JsonFields* fields, const RequestLimits& limits);
bool parse_include_usage(JsonFields* fields, bool stream);
// Members that nothing asked for: 400 where `strict`, else they are logged.
void check_unknown(const JsonFields& fields, const RequestLimits& limits);

}  // namespace quamba2::server
