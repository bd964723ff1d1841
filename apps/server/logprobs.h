// SPDX-License-Identifier: Apache-2.0
// Log-probabilities in the forms of completions and of prompt_logprobs.
#pragma once

#include <string>
#include <vector>

#include "json_fields.h"
#include "quamba2/request.h"
#include "quamba2/tokenizer.h"

namespace quamba2::server {

// A token as text: itself, or `bytes:\xe6\xbc` where it is no whole UTF-8, so that different tokens have different names.
std::string token_name(const Tokenizer& tokenizer, int32_t id);

// {"tokens", "token_logprobs", "top_logprobs", "text_offset"} of a text that grows.
class CompletionLogprobs {
 public:
  explicit CompletionLogprobs(const Tokenizer& tokenizer) : tokenizer_(tokenizer) { clear(); }
  // A token without a probability (the first of a prompt) gets null.
  void add(const TokenReport& token);
  bool empty() const { return tokens_.empty(); }
  OrderedJson take();  // what was added since the last call; offsets go on

 private:
  void clear();
  const Tokenizer& tokenizer_;
  OrderedJson tokens_, values_, tops_, offsets_;
  int64_t characters_ = 0;  // of the tokens so far
};

// An entry of chat's logprobs.content: {"token", "logprob", "bytes", "top_logprobs"}.
OrderedJson chat_logprob(const Tokenizer& tokenizer, const TokenReport& token);

// vLLM's prompt_logprobs: null for the first token, then {"id": {"logprob", "decoded_token"}}.
OrderedJson prompt_logprobs(const Tokenizer& tokenizer, const std::vector<TokenReport>& tokens);

}  // namespace quamba2::server
