// SPDX-License-Identifier: Apache-2.0
// What the endpoints share, and the endpoints themselves.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "completion_request.h"
#include "http.h"
#include "metrics.h"
#include "quamba2/chat_template.h"
#include "quamba2/service.h"

namespace quamba2::server {

struct Api {
  Service& service;
  Metrics& metrics;
  std::string model = {};        // the id under which it is served
  std::string fingerprint = {};  // system_fingerprint: of model, program and kernels
  std::string version = {};
  int64_t created = 0;                    // Unix time of the start
  std::optional<ChatTemplate> chat = {};  // none: why not is the next
  std::string no_chat = {};
  RequestLimits limits = {};
  std::chrono::milliseconds request_time{0};              // a request's deadline; 0: none
  std::function<void(std::function<void()>)> post = {};   // to the network thread
  std::function<void(std::function<void()>)> later = {};  // to the thread of the endpoints
  std::string state_dir = {};                             // empty: states are not kept in files
};

// Endpoints answer, or throw ApiError or Error before they have begun to. They run on the thread for work that takes time
// (JSON, tokenizing), not on the network's.
using Endpoint = void (*)(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);

void post_completions(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void post_chat_completions(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void post_tokenize(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void post_detokenize(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void get_tokenizer_info(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void get_models(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void get_model(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void get_states(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void post_state(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void delete_state(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void get_version(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);
void get_metrics(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder);

// Throws ApiError 404 where the request names another model; an absent name means ours.
void check_model(const Api& api, const std::string& name);

}  // namespace quamba2::server
