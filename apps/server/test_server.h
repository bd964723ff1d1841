// SPDX-License-Identifier: Apache-2.0
// For tests: a server of the bundled model on a thread of its own.
#pragma once

#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "server.h"
#include "test_client.h"

namespace quamba2::server {

inline std::string demo_model() { return QUAMBA2_SOURCE "/models/demo"; }

class TestServer {
 public:
  explicit TestServer(ServerOptions options = {}, ServiceOptions service = {.slots = 4, .chunk = 32},
                      const std::string& model = demo_model())
      : server_(model, service, with_free_port(std::move(options))) {
    server_.load();
    thread_ = std::thread([this] { server_.run([this] { return stop_.load(); }); });
  }
  ~TestServer() { stop(); }

  void ask_to_stop() { stop_ = true; }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  uint16_t port() const {
    const std::string address = server_.address();
    return static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }
  Answer post(const std::string& path, const std::string& body) const { return ask(port(), "POST", path, body); }
  nlohmann::json complete(const nlohmann::json& request) const {
    return nlohmann::json::parse(post("/v1/completions", request.dump()).body);
  }
  // A sample of /metrics, or -1.
  double metric(const std::string& name) const {
    const std::string text = ask(port(), "GET", "/metrics").body;
    const size_t at = text.find("\n" + name + "{");
    return at == std::string::npos ? -1 : std::stod(text.substr(text.find("} ", at) + 2));
  }
  double process_metric(const std::string& name) const {  // one without labels
    const std::string text = ask(port(), "GET", "/metrics").body;
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  const Engine& engine() const { return server_.engine(); }

 private:
  static ServerOptions with_free_port(ServerOptions options) {
    options.port = 0;
    return options;
  }
  std::atomic<bool> stop_ = false;
  Server server_;
  std::thread thread_;
};

}  // namespace quamba2::server
