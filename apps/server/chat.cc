// SPDX-License-Identifier: Apache-2.0
// POST /v1/chat/completions.
#include <fmt/format.h>

#include <algorithm>

#include "api.h"
#include "chat_request.h"
#include "generation_job.h"
#include "logprobs.h"

namespace quamba2::server {
namespace {

struct Answer {
  std::string text;
  OrderedJson logprobs = OrderedJson::array();
  std::vector<int32_t> ids;
  GenerationUsage usage;
  FinishReason finish = FinishReason::kLength;
  bool began = false;  // its first delta was sent
};

class ChatJob : public GenerationJob {
 public:
  ChatJob(Api& api, const std::string& id, ChatRequest request, std::shared_ptr<Responder> responder)
      : GenerationJob(api, "chatcmpl-" + id, std::move(responder), request.stream), request_(std::move(request)) {}

  void start() {
    const std::string text = api_.chat->render_json(request_.messages, request_.rendering);
    prompt_ = tokenizer().encode(text);  // the template has written special tokens out
    if (prompt_.empty()) bad_field("messages", "the model's template makes no text of them");
    limit_length();
    std::vector<GenerationRequest> requests;
    for (int64_t k = 0; k < request_.n; ++k) {
      requests.push_back({prompt_, request_.sampling, request_.logprobs});
      requests.back().sampling.seed += static_cast<uint64_t>(k);
      requests.back().cache_end = true;
      answers_.emplace_back();
    }
    submit(std::move(requests));
  }

 private:
  void limit_length() {
    const int64_t left = api_.limits.max_length - static_cast<int64_t>(prompt_.size());
    if (!request_.max_tokens_given) request_.sampling.max_tokens = std::min(request_.sampling.max_tokens, left);
    if (left < std::max<int64_t>(request_.sampling.max_tokens, 1)) {
      bad_field("messages", fmt::format("{} tokens and max_completion_tokens {} are more than {} together",
                                        prompt_.size(), request_.sampling.max_tokens, api_.limits.max_length));
    }
  }

  void take(size_t index, GenerationUpdate& update) override {
    Answer& a = answers_[index];
    a.usage = update.usage;
    a.text += update.text;
    for (const TokenReport& t : update.tokens) {
      if (request_.logprobs >= 0) a.logprobs.push_back(chat_logprob(tokenizer(), t));
      a.ids.push_back(t.id);
    }
    if (update.finished) a.finish = update.finish;
    if (stream_ && (update.finished || !a.text.empty() || !a.logprobs.empty())) write_delta(index, update.finished);
  }

  void write_delta(size_t index, bool last) {
    Answer& a = answers_[index];
    OrderedJson delta = OrderedJson::object();
    if (!std::exchange(a.began, true)) delta["role"] = "assistant";
    delta["content"] = std::exchange(a.text, {});
    OrderedJson choice = choice_json(index, "delta", std::move(delta));
    if (!last) choice["finish_reason"] = nullptr;
    OrderedJson chunk = head("chat.completion.chunk");
    chunk["choices"] = OrderedJson::array({std::move(choice)});
    if (request_.include_usage) chunk["usage"] = nullptr;
    write_event(chunk);
  }

  void finish() override {
    if (!stream_) {
      OrderedJson body = head("chat.completion");
      body["choices"] = OrderedJson::array();
      for (size_t i = 0; i < answers_.size(); ++i) {
        OrderedJson message;
        message["role"] = "assistant";
        message["content"] = answers_[i].text;
        body["choices"].push_back(choice_json(i, "message", std::move(message)));
      }
      body["usage"] = usage();
      return responder_->send({200, dump(body)});
    }
    if (request_.include_usage) {
      OrderedJson chunk = head("chat.completion.chunk");
      chunk["choices"] = OrderedJson::array();
      chunk["usage"] = usage();
      write_event(chunk);
    }
    responder_->write("data: [DONE]\n\n");
    responder_->end();
  }

  OrderedJson choice_json(size_t index, const char* name, OrderedJson content) {
    Answer& a = answers_[index];
    OrderedJson out;
    out["index"] = index;
    out[name] = std::move(content);
    out["logprobs"] = nullptr;
    if (request_.logprobs >= 0) out["logprobs"] = {{"content", std::exchange(a.logprobs, OrderedJson::array())}};
    out["finish_reason"] = a.finish == FinishReason::kLength ? "length" : "stop";
    if (request_.return_token_ids) out["token_ids"] = std::exchange(a.ids, {});
    return out;
  }

  OrderedJson usage() const {
    int64_t generated = 0;
    for (const Answer& a : answers_) generated += a.usage.generated_tokens;
    return usage_json(answers_[0].usage.prompt_tokens, answers_[0].usage.cached_tokens, generated);
  }

  ChatRequest request_;
  std::vector<int32_t> prompt_;
  std::vector<Answer> answers_;
};

}  // namespace

void post_chat_completions(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
  ChatRequest parsed = parse_chat(request.body, api.limits);
  check_model(api, parsed.model);
  if (!api.chat) throw ApiError(400, "chat is not possible: " + api.no_chat, "messages", "no_chat_template");
  std::make_shared<ChatJob>(api, request.id, std::move(parsed), responder)->start();
}

}  // namespace quamba2::server
