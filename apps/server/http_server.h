// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 over TCP: connections as coroutines on one thread, with limits on everything that a client may send or hold.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "http.h"

namespace quamba2::server {

struct HttpLimits {
  size_t header_bytes = 16 << 10;
  size_t body_bytes = 8 << 20;
  size_t backlog_bytes = 4 << 20;  // of a stream that its client does not read
  int connections = 1024;
  std::chrono::milliseconds header_time{10'000};  // from a request's first byte to the end of its header
  std::chrono::milliseconds body_time{30'000};
  std::chrono::milliseconds write_time{30'000};  // without progress
  std::chrono::milliseconds idle_time{75'000};   // between requests
};

class HttpServer {
 public:
  // Listens at once; port 0 takes a free one. `error_body` makes the body of answers to requests that no handler sees
  // (status, why). Throws Error{kRuntime} for an address that cannot be had.
  HttpServer(const std::string& host, uint16_t port, HttpLimits limits, HttpHandler handler,
             std::function<std::string(int status, const std::string& why)> error_body);
  ~HttpServer();

  uint16_t port() const;
  int connections() const;
  // Serves on the calling thread until `stop` was called and the connections have ended.
  void run();
  // Calls `tick` every 50 ms on the network thread while it runs.
  void set_tick(std::function<void()> tick);
  // From any thread: no new connections or requests; what is being answered goes on for `grace` at most.
  void stop(std::chrono::milliseconds grace);
  // Runs work on the network thread, soon.
  void post(std::function<void()> work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace quamba2::server
