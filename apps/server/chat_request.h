// SPDX-License-Identifier: Apache-2.0
// The body of POST /v1/chat/completions.
#pragma once

#include <string>
#include <string_view>

#include "completion_request.h"
#include "quamba2/chat_template.h"

namespace quamba2::server {

struct ChatRequest {
  std::string model;
  std::string messages;  // the JSON list, for ChatTemplate::render_json
  ChatTemplateOptions rendering;
  SamplingOptions sampling;
  bool max_tokens_given = false;
  int64_t n = 1;
  bool stream = false, include_usage = false, return_token_ids = false;
  int32_t logprobs = -1;  // likeliest tokens beside each; -1: none
};

// Throws ApiError 400 naming the member.
ChatRequest parse_chat(std::string_view body, const RequestLimits& limits);

}  // namespace quamba2::server
