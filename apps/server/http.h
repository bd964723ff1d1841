// SPDX-License-Identifier: Apache-2.0
// HTTP as the endpoints see it: a request, a response, and a way to answer from any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quamba2::server {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method, path;   // path without what follows '?'
  std::string id;             // X-Request-Id, or one of our own
  std::string authorization;  // that header
  std::string body;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  Headers headers = {};
};

// Every function may be called from any thread, also after the client has left: then it does nothing.
class Responder {
 public:
  virtual ~Responder() = default;
  // A whole response.
  virtual void send(HttpResponse response) = 0;
  // Or a stream: its head (`body` does not count), pieces, the end.
  virtual void begin(HttpResponse head) = 0;
  virtual void write(std::string piece) = 0;
  virtual void end() = 0;
  // Called once where the client leaves before the end; at once where it has left. On the network thread.
  virtual void on_gone(std::function<void()> gone) = 0;
};

using HttpHandler = std::function<void(HttpRequest&& request, std::shared_ptr<Responder> responder)>;

}  // namespace quamba2::server
