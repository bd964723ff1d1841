// SPDX-License-Identifier: Apache-2.0
// For tests: a blocking HTTP client that can also misbehave.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace quamba2::server {

struct Answer {
  int status = 0;                              // 0: the connection ended without one
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // chunks put together
};

class Client {
 public:
  explicit Client(uint16_t port);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool send(std::string_view bytes);  // as they are
  // A request with a Content-Length, and its answer.
  Answer ask(const std::string& method, const std::string& path, const std::string& body = {},
             const std::map<std::string, std::string>& headers = {});
  Answer answer();          // the next one; waits 60 seconds at most
  std::string read_some();  // what comes next; empty at the end
  void close();             // at once

 private:
  bool more();
  int fd_ = -1;
  std::string buffer_;
};

// On a connection of its own.
Answer ask(uint16_t port, const std::string& method, const std::string& path, const std::string& body = {},
           const std::map<std::string, std::string>& headers = {});

}  // namespace quamba2::server
