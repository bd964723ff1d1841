// SPDX-License-Identifier: Apache-2.0
#include "runtime/growing_text.h"

#include <algorithm>

namespace quamba2 {
namespace {

bool contains(const std::vector<int32_t>& ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength: return "length";
    case FinishReason::kStop: return "stop";
    case FinishReason::kEndOfText: return "end_of_text";
    case FinishReason::kCancelled: return "cancelled";
    case FinishReason::kDeadline: return "deadline";
  }
  return "";
}

GrowingText::GrowingText(const GeneratorModel& model, const SamplingOptions& options, const TextStart& start)
    : max_tokens_(options.max_tokens),
      goes_on_(start.goes_on),
      ends_(options.ignore_eos ? std::vector<int32_t>() : model.eos),
      stop_ids_(options.stop_token_ids),
      sampler_(options, model.vocab_size, start.draws),
      stops_(options.stop) {
  if (model.tokenizer) decoder_.emplace(model.tokenizer, options.skip_special_tokens);
  sampler_.observe_prompt(start.prompt);
  sampler_.forbid_at_first(ends_);
  sampler_.forbid_at_first(stop_ids_);
  take_in_again(start.earlier, options.stop);
  if (max_tokens_ == 0) finish(FinishReason::kLength);
}

// Brings penalties, decoder and stop strings to where they were. A stop string that has ended the text is behind it now.
void GrowingText::take_in_again(std::span<const int32_t> earlier, const std::vector<std::string>& stops) {
  for (const int32_t id : earlier) {
    sampler_.accept(id);
    if (decoder_) stops_.push(decoder_->push(id));
  }
  if (stops_.stopped()) stops_ = StopStrings(stops);
}

int32_t GrowingText::take_in(int32_t id) {
  ++tokens_;
  if (contains(ends_, id) || contains(stop_ids_, id)) {
    end_token_ = id;
    finish(contains(ends_, id) ? FinishReason::kEndOfText : FinishReason::kStop);
    return id;
  }
  sampler_.accept(id);
  last_ = id;
  if (decoder_) piece_ += stops_.push(decoder_->push(id));
  if (stops_.stopped()) {
    done_ = true;
    reason_ = FinishReason::kStop;
  } else if (tokens_ >= max_tokens_) {
    finish(FinishReason::kLength);
  }
  return id;
}

void GrowingText::finish(FinishReason reason) {
  if (done_) return;
  done_ = true;
  reason_ = reason;
  if (reason != FinishReason::kCancelled && !(goes_on_ && reason == FinishReason::kLength)) flush();
}

void GrowingText::flush() {
  if (!decoder_) return;
  piece_ += stops_.push(decoder_->flush());
  if (stops_.stopped()) {
    reason_ = FinishReason::kStop;
  } else {
    piece_ += stops_.flush();
  }
}

}  // namespace quamba2
