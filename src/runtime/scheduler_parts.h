// SPDX-License-Identifier: Apache-2.0
// What a scheduler keeps of its requests and calls.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/scheduler.h"

namespace quamba2 {

inline double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

struct Scheduler::Sequence {
  Sequence(uint64_t request_id, GenerationRequest&& asked, GenerationSink&& to)
      : id(request_id), request(std::move(asked)), sink(std::move(to)) {
    begin_text();
    update.usage.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  }

  // With a paused text to go on from, its text is part of the prompt.
  void begin_text() {
    const bool anew = !request.prompt.empty();
    if (request.from) request.prompt.insert(request.prompt.begin(), request.from->ids.begin(), request.from->ids.end());
    text_begin = anew ? request.prompt.size() : static_cast<size_t>(request.from->prompt_tokens);
  }
  TextStart text_start() const {
    const std::span<const int32_t> all(request.prompt);
    TextStart out{all.first(text_begin), all.subspan(text_begin)};
    if (request.from && request.from->seed == request.sampling.seed) out.draws = request.from->draws;
    out.goes_on = request.return_paused;
    return out;
  }
  bool reading() const { return read < request.prompt.size(); }
  size_t length() const { return request.prompt.size(); }

  uint64_t id;
  GenerationRequest request;
  GenerationSink sink;
  std::optional<GrowingText> text;  // from its admission on
  int32_t slot = -1;
  size_t text_begin = 0;          // where in `prompt` the generated text begins: its end, unless a paused text goes on
  size_t read = 0;                // tokens of the prompt
  int32_t chosen_row = -1;        // of the call that went ahead: where its token is; -1: it has none there
  uint64_t served = 0;            // the step that last read a piece of it, or admitted it
  bool exact = true;              // its state is what reading the prompt alone gives, bit for bit
  std::vector<int32_t> followed;  // generated tokens that were read, for cache_end and return_paused
  int32_t unread = -1;            // the generated token that is to be read next
  bool cancelled = false;
  Clock::time_point queued = Clock::now(), admitted, grown;  // grown: when the prompt had been read
  GenerationUpdate update;                                   // what its sink is to hear next
};

// A row of the call's logits, what is asked of it, and the answer.
struct Scheduler::Row {
  int32_t row = 0;
  Sequence* sequence = nullptr;
  int32_t target = -1;  // the prompt's next token, which is to be scored; -1: a token is to be sampled
  TokenReport report = {};
  std::optional<Error> error = {};
};

// A sequence's part of a call.
struct Scheduler::Share {
  Sequence* sequence;
  int32_t begin, piece;  // tokens
  bool reads;            // its prompt
};

struct Scheduler::Call {
  std::vector<Share> shares;
  std::vector<Row> chosen;  // rows whose tokens the device chooses
  bool is_ahead = false;
  StepReport report;
  Clock::time_point begin;

  void forget(const Sequence* ended) {
    std::erase_if(shares, [&](const Share& s) { return s.sequence == ended; });
    for (Row& r : chosen) r.sequence = r.sequence == ended ? nullptr : r.sequence;
  }
};

}  // namespace quamba2
