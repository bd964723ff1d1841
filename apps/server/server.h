// SPDX-License-Identifier: Apache-2.0
// The OpenAI-compatible HTTP server over a Service.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "quamba2/service.h"

namespace quamba2::server {

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;            // 0: a free one
  std::string api_key = {};        // empty: none is asked for
  std::string model = {};          // id under which the model is served; empty: its directory's name
  std::string chat_template = {};  // its text, or "chatml"; empty: the model's own
  std::string metrics_prefix = "quamba2:";
  std::string version = {};
  int64_t max_length = 1 << 17;  // tokens of prompt and text together
  size_t max_body = 8 << 20;     // bytes
  int max_connections = 1024;
  std::chrono::milliseconds header_time{10'000}, body_time{30'000}, idle_time{75'000}, write_time{30'000};
  std::chrono::milliseconds request_time{0};         // a request's deadline; 0: none
  std::chrono::milliseconds shutdown_time{30'000};   // for streams that grow when the end is asked for
  bool strict = false;                               // members of a request that nobody knows are errors
  std::string state_dir = {};                        // where clients may keep states; empty: nowhere
  std::function<void(const std::string&)> log = {};  // messages for who looks for faults; from any thread
};

class Server {
 public:
  // Makes the service; it is to tell `on_step` of its steps.
  using Loader = std::function<std::unique_ptr<Service>(StepSink on_step)>;
  // Listens. Throws Error{kRuntime} for an address that cannot be had, Error{kUsage} for a `state_dir` that is none.
  Server(const std::string& model, const ServiceOptions& service, const ServerOptions& options);
  Server(Loader loader, const ServerOptions& options);
  ~Server();

  std::string address() const;       // "http://127.0.0.1:8000"
  const std::string& model() const;  // its id; this and the next once it is loaded
  const Engine& engine() const;
  // Loads the model. Throws as Service::load.
  void load();
  // Serves until `stop_asked` holds, then drains. A model that is not loaded yet is loaded meanwhile: until then the answer
  // is 503, then `on_ready` is called. Throws as `load`.
  void run(const std::function<bool()>& stop_asked, const std::function<void()>& on_ready = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace quamba2::server
