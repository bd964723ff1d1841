// SPDX-License-Identifier: Apache-2.0
// One text as it grows: from a row of logits to the next token, and from tokens to the text that may be shown.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/executor.h"
#include "quamba2/generate.h"
#include "quamba2/tokenizer.h"
#include "runtime/sampler.h"
#include "runtime/stop_strings.h"
#include "text/stream_decoder.h"

namespace quamba2 {

struct GeneratorModel {
  Executor* executor = nullptr;
  std::shared_ptr<const Tokenizer> tokenizer;  // none: texts stay empty
  int64_t vocab_size = 0;                      // ids that may be sampled
  std::vector<int32_t> eos;                    // ids that end a text
};

// What comes before a text's next token.
struct TextStart {
  std::span<const int32_t> prompt;
  std::span<const int32_t> earlier = {};  // tokens of the text itself, generated and shown before
  uint64_t draws = 0;                     // random numbers that they used
  // The text may go on after max_tokens: what is held back then stays so, and comes with the tokens that follow.
  bool goes_on = false;
};

class GrowingText {
 public:
  // Throws Error{kUsage} for options out of range.
  GrowingText(const GeneratorModel& model, const SamplingOptions& options, const TextStart& start);

  // Samples the next token from the row after the last one, and takes it in. Throws Error{kRuntime} as Sampler does.
  int32_t take(std::span<const float> logits) { return take_in(sampler_.sample(logits)); }
  // By this rule a device may choose the token that comes when `ahead` more are known here.
  std::optional<TokenRule> rule(int64_t ahead) const { return sampler_.rule(ahead); }
  // The same with what was chosen so.
  int32_t take_chosen(int32_t chosen) { return take_in(sampler_.take_chosen(chosen)); }
  int64_t tokens_left() const { return max_tokens_ - tokens_; }
  // Ends the text here, whatever the model says. Text that was held back is shown, unless nobody listens any more
  // (kCancelled).
  void finish(FinishReason reason);

  // What may be shown since the last call.
  std::string take_piece() { return std::exchange(piece_, {}); }
  bool done() const { return done_; }
  FinishReason reason() const { return reason_; }
  int32_t last() const { return last_; }            // the token that is to be read next
  int32_t end_token() const { return end_token_; }  // that ended the text, or -1
  uint64_t draws() const { return sampler_.draws(); }

 private:
  int32_t take_in(int32_t id);
  void take_in_again(std::span<const int32_t> earlier, const std::vector<std::string>& stops);
  void flush();

  int64_t max_tokens_;
  bool goes_on_;
  std::vector<int32_t> ends_, stop_ids_;  // of the model, of the request
  Sampler sampler_;
  StopStrings stops_;
  std::optional<StreamDecoder> decoder_;
  std::string piece_;
  int32_t last_ = 0, end_token_ = -1;
  int64_t tokens_ = 0;
  bool done_ = false;
  FinishReason reason_ = FinishReason::kLength;
};

}  // namespace quamba2
