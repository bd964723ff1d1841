// SPDX-License-Identifier: Apache-2.0
// What makes no sense is refused before it waits.
#include <algorithm>
#include <string>

#include "runtime/scheduler.h"

namespace quamba2 {
namespace {

void check_paused(const GeneratorModel& model, const GenerationRequest& request) {
  if (!request.from) return;
  const PausedText& s = *request.from;
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorCode::kUsage, "bad paused text", "", why, "give one that this model wrote, as it was written");
  };
  const auto length = static_cast<int64_t>(s.ids.size());
  if (s.read < 0 || s.read > length || s.prompt_tokens < 0 || s.prompt_tokens > length || (s.read > 0) != !!s.state)
    refuse("its members contradict each other");
  if (s.state && s.state->size() != model.executor->state_bytes())
    refuse("its state has " + std::to_string(s.state->size()) + " bytes, this model's has " +
           std::to_string(model.executor->state_bytes()));
  const int32_t rows = model.executor->table_rows();
  if (std::any_of(s.ids.begin(), s.ids.end(), [rows](int32_t id) { return id < 0 || id >= rows; }))
    refuse("it has token ids beyond the model's vocabulary");
  if (request.prompt_logprobs >= 0) refuse("what it has read cannot be scored any more");
}

}  // namespace

void check_request(const GeneratorModel& model, const GenerationRequest& request) {
  check_sampling_options(request.sampling);
  check_paused(model, request);
  if (request.prompt.empty() && !(request.from && request.from->read < static_cast<int64_t>(request.from->ids.size())))
    throw Error(ErrorCode::kUsage, "empty prompt", "", "there is no token to continue from", "give some text");
  const int32_t rows = model.executor->table_rows();
  for (const int32_t id : request.prompt) {
    if (id >= 0 && id < rows) continue;
    throw Error(ErrorCode::kUsage, "bad prompt", "token " + std::to_string(id),
                "the model's vocabulary has " + std::to_string(rows) + " entries", "use this model's tokenizer");
  }
  for (const int32_t count : {request.logprobs, request.prompt_logprobs}) {
    if (count >= -1 && count <= model.vocab_size) continue;
    throw Error(ErrorCode::kUsage, "bad number of log-probabilities", std::to_string(count), "it is not in its range",
                "give -1 (none) to the size of the vocabulary");
  }
}

}  // namespace quamba2
