// SPDX-License-Identifier: Apache-2.0
// Any bytes as the body of a completion or chat request: a request within its limits, or an ApiError of the user's.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "chat_request.h"
#include "completion_request.h"
#include "runtime/sampler.h"

using quamba2::server::ApiError;
using quamba2::server::ChatRequest;
using quamba2::server::CompletionRequest;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const quamba2::server::RequestLimits limits;
  try {
    const CompletionRequest r = quamba2::server::parse_completion(body, limits);
    if (r.prompts.empty() || r.n < 1 || r.best_of < r.n || r.sampling.max_tokens > limits.max_length) __builtin_trap();
    quamba2::check_sampling_options(r.sampling);
  } catch (const ApiError& e) {
    if (e.status != 400 || quamba2::server::error_body(e).empty()) __builtin_trap();
  }
  try {
    const ChatRequest r = quamba2::server::parse_chat(body, limits);
    if (r.messages.empty() || r.n < 1 || r.logprobs > 20) __builtin_trap();
  } catch (const ApiError& e) {
    if (e.status != 400) __builtin_trap();
  }
  return 0;
}
