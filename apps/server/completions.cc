// SPDX-License-Identifier: Apache-2.0
// POST /v1/completions.
#include <fmt/format.h>

#include <algorithm>

#include "api.h"
#include "generation_job.h"
#include "logprobs.h"

namespace quamba2::server {
namespace {

struct Choice {
  explicit Choice(const Tokenizer& tokenizer) : logprobs(tokenizer) {}
  std::string text;
  CompletionLogprobs logprobs;
  std::vector<TokenReport> prompt;  // for prompt_logprobs
  std::vector<int32_t> ids;
  double score = 0;  // sum of its tokens' log-probabilities, for best_of
  GenerationUsage usage;
  FinishReason finish = FinishReason::kLength;
};

struct EncodedPrompt {
  std::vector<int32_t> ids;
  std::string text;
};

class CompletionJob : public GenerationJob {
 public:
  CompletionJob(Api& api, const std::string& id, CompletionRequest request, std::shared_ptr<Responder> responder)
      : GenerationJob(api, "cmpl-" + id, std::move(responder), request.stream), request_(std::move(request)) {}

  void start() {
    for (const Prompt& prompt : request_.prompts) encode(prompt);
    const auto tries = static_cast<size_t>(request_.best_of);
    std::vector<GenerationRequest> requests;
    for (const EncodedPrompt& prompt : prompts_) {
      for (size_t k = 0; k < tries; ++k) {
        GenerationRequest r{prompt.ids, request_.sampling, request_.logprobs, request_.prompt_logprobs};
        r.sampling.seed += k;
        if (request_.best_of > request_.n) r.logprobs = std::max(r.logprobs, 0);
        if (request_.echo) r.prompt_logprobs = std::max(r.prompt_logprobs, request_.logprobs);
        requests.push_back(std::move(r));
        choices_.emplace_back(tokenizer());
      }
    }
    submit(std::move(requests));
  }

 private:
  size_t prompt_of(size_t choice) const { return choice / static_cast<size_t>(request_.best_of); }

  void encode(const Prompt& prompt) {
    EncodedPrompt out;
    if (const auto* text = std::get_if<std::string>(&prompt)) {
      out = {api_.service.engine().encode_prompt(*text, request_.add_special_tokens), *text};
    } else {
      out.ids = std::get<std::vector<int32_t>>(prompt);
      if (out.ids.empty()) bad_field("prompt", "it has no tokens");
      if (request_.echo) out.text = tokenizer().decode(out.ids);
    }
    if (out.ids.empty()) bad_field("prompt", "it is empty, and the model has no token that begins a text");
    const int64_t length = static_cast<int64_t>(out.ids.size()) + request_.sampling.max_tokens;
    if (length > api_.limits.max_length) {
      bad_field("prompt", fmt::format("{} tokens and max_tokens {} are more than {} together", out.ids.size(),
                                      request_.sampling.max_tokens, api_.limits.max_length));
    }
    prompts_.push_back(std::move(out));
  }

  void take(size_t index, GenerationUpdate& update) override {
    Choice& c = choices_[index];
    const bool first = c.usage.prompt_tokens == 0;
    c.usage = update.usage;
    if (request_.echo && first) c.text = prompts_[prompt_of(index)].text;
    c.text += update.text;
    if (request_.logprobs >= 0 && request_.echo) {
      for (const TokenReport& t : update.prompt_tokens) c.logprobs.add(t);
    }
    for (TokenReport& t : update.tokens) {
      if (request_.logprobs >= 0) c.logprobs.add(t);
      c.ids.push_back(t.id);
      c.score += t.log_probability;
    }
    if (request_.prompt_logprobs >= 0) {
      for (TokenReport& t : update.prompt_tokens) c.prompt.push_back(std::move(t));
    }
    if (update.finished) c.finish = update.finish;
    if (stream_ && (update.finished || !c.text.empty() || !c.logprobs.empty())) write_chunk(index, update.finished);
  }

  void write_chunk(size_t index, bool last) {
    OrderedJson choice = choice_json(index, static_cast<int64_t>(index));
    if (!last) choice["finish_reason"] = nullptr;
    OrderedJson chunk = head("text_completion");
    chunk["choices"] = OrderedJson::array({std::move(choice)});
    if (request_.include_usage) chunk["usage"] = nullptr;
    write_event(chunk);
    choices_[index].text.clear();
    choices_[index].ids.clear();
    choices_[index].prompt.clear();
  }

  void finish() override {
    OrderedJson body = head("text_completion");
    if (stream_) {
      if (request_.include_usage) {
        body["choices"] = OrderedJson::array();
        body["usage"] = usage();
        write_event(body);
      }
      responder_->write("data: [DONE]\n\n");
      return responder_->end();
    }
    body["choices"] = OrderedJson::array();
    int64_t number = 0;
    for (size_t p = 0; p < prompts_.size(); ++p) {
      for (const size_t index : best(p)) body["choices"].push_back(choice_json(index, number++));
    }
    body["usage"] = usage();
    responder_->send({200, dump(body)});
  }

  // The n choices of a prompt that are shown: by mean log-probability where there are more.
  std::vector<size_t> best(size_t prompt) const {
    std::vector<size_t> out;
    for (size_t k = 0; k < static_cast<size_t>(request_.best_of); ++k)
      out.push_back(prompt * static_cast<size_t>(request_.best_of) + k);
    const auto mean = [&](size_t i) {
      return choices_[i].score / static_cast<double>(std::max<size_t>(choices_[i].ids.size(), 1));
    };
    if (request_.best_of > request_.n)
      std::stable_sort(out.begin(), out.end(), [&](size_t a, size_t b) { return mean(a) > mean(b); });
    out.resize(static_cast<size_t>(request_.n));
    return out;
  }

  OrderedJson choice_json(size_t index, int64_t number) {
    Choice& c = choices_[index];
    OrderedJson out;
    out["index"] = number;
    out["text"] = c.text;
    out["logprobs"] = request_.logprobs >= 0 ? c.logprobs.take() : OrderedJson(nullptr);
    out["finish_reason"] = c.finish == FinishReason::kLength ? "length" : "stop";
    if (request_.prompt_logprobs >= 0) out["prompt_logprobs"] = prompt_logprobs(tokenizer(), c.prompt);
    if (request_.return_token_ids) {
      out["prompt_token_ids"] = prompts_[prompt_of(index)].ids;
      out["token_ids"] = c.ids;
    }
    return out;
  }

  OrderedJson usage() const {
    int64_t prompt = 0, cached = 0, generated = 0;
    for (size_t i = 0; i < choices_.size(); ++i) {
      const GenerationUsage& u = choices_[i].usage;
      generated += u.generated_tokens;
      if (i % static_cast<size_t>(request_.best_of) != 0) continue;  // a prompt counts once
      prompt += u.prompt_tokens;
      cached += u.cached_tokens;
    }
    return usage_json(prompt, cached, generated);
  }

  const CompletionRequest request_;
  std::vector<EncodedPrompt> prompts_;
  std::vector<Choice> choices_;
};

}  // namespace

void post_completions(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
  CompletionRequest parsed = parse_completion(request.body, api.limits);
  check_model(api, parsed.model);
  std::make_shared<CompletionJob>(api, request.id, std::move(parsed), responder)->start();
}

}  // namespace quamba2::server
