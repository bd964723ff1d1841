// SPDX-License-Identifier: Apache-2.0
// Endpoints that answer at once: the tokenizer's, the models', version and metrics.
#include <fmt/format.h>

#include "api.h"
#include "json_fields.h"

namespace quamba2::server {
namespace {

void send(const std::shared_ptr<Responder>& responder, const OrderedJson& json) { responder->send({200, dump(json)}); }

OrderedJson model_json(const Api& api) {
  OrderedJson out;
  out["id"] = api.model;
  out["object"] = "model";
  out["created"] = api.created;
  out["owned_by"] = "quamba2";
  out["max_model_len"] = api.limits.max_length;
  return out;
}

OrderedJson token_or_null(const Tokenizer& tokenizer, std::optional<int32_t> id) {
  return id ? OrderedJson(tokenizer.token_text(*id)) : OrderedJson(nullptr);
}

}  // namespace

void check_model(const Api& api, const std::string& name) {
  if (name.empty() || name == api.model) return;
  throw ApiError(404, fmt::format("the model '{}' is not here; '{}' is", name.substr(0, 200), api.model), "model",
                 "model_not_found");
}

void post_tokenize(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
  JsonFields fields(request.body);
  check_model(api, fields.text("model"));
  const Tokenizer& tokenizer = api.service.engine().tokenizer();
  std::vector<int32_t> ids;
  if (const Json* messages = fields.find("messages")) {
    if (!api.chat) throw ApiError(400, "chat is not possible: " + api.no_chat, "messages", "no_chat_template");
    const bool open = fields.boolean("add_generation_prompt", true);
    ids = tokenizer.encode(api.chat->render_json(messages->dump(), {.add_generation_prompt = open}));
  } else {
    if (!fields.has("prompt")) throw ApiError(400, "'prompt' is missing", "prompt");
    ids = tokenizer.encode(fields.text("prompt"), fields.boolean("add_special_tokens", true));
  }
  OrderedJson out;
  out["count"] = ids.size();
  out["max_model_len"] = api.limits.max_length;
  out["tokens"] = ids;
  if (fields.boolean("return_token_strs", false)) {
    out["token_strs"] = OrderedJson::array();
    for (const int32_t id : ids) out["token_strs"].push_back(tokenizer.token_text(id));
  }
  send(responder, out);
}

void post_detokenize(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
  JsonFields fields(request.body);
  check_model(api, fields.text("model"));
  if (!fields.has("tokens")) throw ApiError(400, "'tokens' is missing", "tokens");
  OrderedJson out;
  out["prompt"] = api.service.engine().tokenizer().decode(fields.ids("tokens"));
  send(responder, out);
}

void get_tokenizer_info(Api& api, const HttpRequest&, const std::shared_ptr<Responder>& responder) {
  const Engine& engine = api.service.engine();
  const Tokenizer& tokenizer = engine.tokenizer();
  OrderedJson out;
  out["tokenizer_class"] = "quamba2";
  std::optional<int32_t> eos = tokenizer.eos_id();
  if (!eos && !engine.end_ids().empty()) eos = engine.end_ids().front();
  out["eos_token"] = token_or_null(tokenizer, eos);
  out["bos_token"] = token_or_null(tokenizer, tokenizer.bos_id());
  out["pad_token"] = token_or_null(tokenizer, eos);
  out["vocab_size"] = engine.vocab_size();
  out["chat_template"] = api.chat ? OrderedJson(api.chat->source()) : OrderedJson(nullptr);
  send(responder, out);
}

void get_models(Api& api, const HttpRequest&, const std::shared_ptr<Responder>& responder) {
  OrderedJson out;
  out["object"] = "list";
  out["data"] = OrderedJson::array({model_json(api)});
  send(responder, out);
}

void get_model(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
  check_model(api, request.path.substr(std::string_view("/v1/models/").size()));
  send(responder, model_json(api));
}

void get_version(Api& api, const HttpRequest&, const std::shared_ptr<Responder>& responder) {
  OrderedJson out;
  out["version"] = api.version;
  send(responder, out);
}

void get_metrics(Api& api, const HttpRequest&, const std::shared_ptr<Responder>& responder) {
  const Service::Status status = api.service.status();
  std::vector<Gauge> gauges = process_gauges();
  gauges.push_back({"num_requests_running", "Requests in state slots.", static_cast<double>(status.running)});
  gauges.push_back({"num_requests_waiting", "Requests that wait for one.", static_cast<double>(status.waiting)});
  gauges.push_back({"state_cache_usage_ratio", "State slots in use.",
                    static_cast<double>(status.running) / api.service.engine().max_sequences()});
  gauges.push_back({"state_cache_bytes", "Kept states of prefixes.", static_cast<double>(status.cache_bytes)});
  const std::string text = api.metrics.text(
      gauges, {{"version", api.version}, {"device", api.service.engine().description()}, {"cuda", ""}});
  responder->send({200, text, "text/plain; version=0.0.4; charset=utf-8"});
}

}  // namespace quamba2::server
