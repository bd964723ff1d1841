// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <fmt/format.h>

#include <atomic>
#include <ctime>
#include <exception>
#include <thread>

#include "api.h"
#include "http_server.h"
#include "page.h"
#include "routes.h"
#include "state_dir.h"
#include "work_thread.h"

namespace quamba2::server {
namespace {

HttpLimits http_limits(const ServerOptions& o) {
  HttpLimits limits;
  limits.body_bytes = o.max_body;
  limits.connections = o.max_connections;
  limits.header_time = o.header_time;
  limits.body_time = o.body_time;
  limits.idle_time = o.idle_time;
  limits.write_time = o.write_time;
  return limits;
}

// Counts an answer by its status on the way to the client.
class Counted : public Responder {
 public:
  Counted(std::shared_ptr<Responder> to, Metrics& metrics, std::string handler, std::string method)
      : to_(std::move(to)), metrics_(metrics), handler_(std::move(handler)), method_(std::move(method)) {}
  void send(HttpResponse response) override {
    metrics_.http(handler_, method_, response.status);
    to_->send(std::move(response));
  }
  void begin(HttpResponse head) override {
    metrics_.http(handler_, method_, head.status);
    to_->begin(std::move(head));
  }
  void write(std::string piece) override { to_->write(std::move(piece)); }
  void end() override { to_->end(); }
  void on_gone(std::function<void()> gone) override { to_->on_gone(std::move(gone)); }

 private:
  const std::shared_ptr<Responder> to_;
  Metrics& metrics_;
  const std::string handler_, method_;
};

}  // namespace

struct Server::Impl {
  // Members go in reverse: the service and the work thread end before the network that they answer to.
  Impl(Loader how, const ServerOptions& o)
      : loader(std::move(how)), options(o), metrics(std::make_shared<Metrics>(o.metrics_prefix, o.model)) {
    check_state_dir(o.state_dir);
    http = std::make_unique<HttpServer>(
        o.host, o.port, http_limits(o),
        [this](HttpRequest&& request, std::shared_ptr<Responder> r) { handle(std::move(request), std::move(r)); },
        [](int status, const std::string& why) { return error_body(ApiError(status, why)); });
  }

  // On a thread of its own: what it makes is used by others once `ready`.
  void load() {
    const ServerOptions& o = options;
    service = loader([m = metrics](const StepReport& step) { m->step(step); });
    service->engine().tokenizer();  // throws where there is none
    const Engine& e = service->engine();
    const std::string id = o.model.empty() ? e.name() : o.model;
    metrics->set_model(id);
    api.reset(new Api{.service = *service, .metrics = *metrics});
    api->model = id;
    api->version = o.version;
    api->created = std::time(nullptr);
    api->fingerprint = "fp_" + e.fingerprint(e.description() + " " + o.version);
    api->limits.max_length = o.max_length;
    api->limits.strict = o.strict;
    api->limits.log = o.log;
    api->state_dir = o.state_dir;
    api->request_time = o.request_time;
    api->post = [this](std::function<void()> task) { http->post(std::move(task)); };
    api->later = [this](std::function<void()> task) { work->add(std::move(task)); };
    find_chat();
    work = std::make_unique<WorkThread>();
    ready = true;
  }

  // A template that is asked for must be there; without the model's own, chat is refused with the reason.
  void find_chat() {
    if (options.chat_template == "chatml") {
      api->chat = ChatTemplate::chatml();
    } else if (!options.chat_template.empty()) {
      api->chat = ChatTemplate::parse(options.chat_template, "--chat-template");
    } else {
      try {
        api->chat = service->engine().chat_template();
        api->no_chat = "the model has no chat template; start the server with --chat-template";
      } catch (const Error& e) {
        api->no_chat = e.what();
      }
    }
  }

  void handle(HttpRequest&& request, std::shared_ptr<Responder> responder) {
    const Found found = find_route(request.method, request.path);
    const auto counted = std::make_shared<Counted>(std::move(responder), *metrics,
                                                   found.route ? found.route->path : "none", request.method);
    try {
      if (!found.route) throw found.error;
      if (found.route->kind == RouteKind::kAlive) return counted->send({200, "{\"status\":\"ok\"}"});
      if (found.route->kind == RouteKind::kPage) return counted->send(page_response());
      if (stopping) throw ApiError(503, "the server is shutting down", "", "draining");
      if (!ready) throw loading();
      if (found.route->kind == RouteKind::kReady) return counted->send({200, "{\"status\":\"ok\"}"});
      if (found.route->guarded) check_key(request.authorization, options.api_key);
    } catch (const ApiError& e) {
      return counted->send(error_response(e));
    }
    work->add([this, route = found.route, request = std::move(request), counted] {
      answer_errors(counted, [&] { route->endpoint(*api, request, counted); });
    });
  }

  static ApiError loading() {
    ApiError error(503, "the model is loading; try again soon", "", "loading");
    error.retry_after = 1;
    return error;
  }

  const Loader loader;
  const ServerOptions options;
  std::shared_ptr<Metrics> metrics;
  std::unique_ptr<HttpServer> http;
  std::unique_ptr<Api> api;
  std::unique_ptr<Service> service;
  std::unique_ptr<WorkThread> work;
  std::atomic<bool> ready = false;
  bool stopping = false;  // of the network thread
};

Server::Server(const std::string& model, const ServiceOptions& service, const ServerOptions& options)
    : Server(
          [model, service](StepSink on_step) {
            ServiceOptions heard = service;
            heard.on_step = std::move(on_step);
            return Service::load(model, heard);
          },
          options) {}
Server::Server(Loader loader, const ServerOptions& options)
    : impl_(std::make_unique<Impl>(std::move(loader), options)) {}
Server::~Server() = default;

const std::string& Server::model() const { return impl_->api->model; }
const Engine& Server::engine() const { return impl_->service->engine(); }

std::string Server::address() const {
  const std::string& host = impl_->options.host;
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", impl_->http->port());
}

void Server::load() { impl_->load(); }

void Server::run(const std::function<bool()>& stop_asked, const std::function<void()>& on_ready) {
  std::exception_ptr failure;
  impl_->http->set_tick([this, &stop_asked] {
    if (impl_->stopping || !stop_asked()) return;
    impl_->stopping = true;
    impl_->http->stop(impl_->options.shutdown_time);
  });
  {
    const std::jthread loader([this, &failure, &on_ready] {
      try {
        if (!impl_->ready) impl_->load();
        if (on_ready) impl_->http->post(on_ready);
      } catch (...) {
        failure = std::current_exception();
        impl_->http->stop(std::chrono::milliseconds(0));
      }
    });
    impl_->http->run();
  }
  if (failure && !impl_->stopping) std::rethrow_exception(failure);
}

}  // namespace quamba2::server
