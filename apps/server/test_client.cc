// SPDX-License-Identifier: Apache-2.0
#include "test_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <utility>

namespace quamba2::server {

Client::Client(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{60, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) close();
}

Client::~Client() { close(); }

void Client::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool Client::more() {
  char part[1 << 16];
  const ssize_t got = recv(fd_, part, sizeof part, 0);
  if (got > 0) buffer_.append(part, static_cast<size_t>(got));
  return got > 0;
}

std::string Client::read_some() {
  if (buffer_.empty()) more();
  return std::exchange(buffer_, {});
}

Answer Client::answer() {
  Answer out;
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!more()) return out;
  }
  const std::string head = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  out.status = std::atoi(head.c_str() + 9);
  for (size_t at = head.find("\r\n") + 2; at < head.size();) {
    const size_t stop = head.find("\r\n", at), colon = head.find(": ", at);
    std::string name = head.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    out.headers[name] = head.substr(colon + 2, stop - colon - 2);
    at = stop + 2;
  }
  if (out.status == 100) return answer();
  const auto take = [&](size_t bytes) {
    while (buffer_.size() < bytes && more()) {}
    std::string part = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return part;
  };
  if (out.headers.count("content-length")) {
    out.body = take(std::strtoull(out.headers["content-length"].c_str(), nullptr, 10));
    return out;
  }
  for (;;) {
    while (buffer_.find("\r\n") == std::string::npos && more()) {}
    const size_t bytes = std::strtoull(buffer_.c_str(), nullptr, 16), line = buffer_.find("\r\n");
    if (line == std::string::npos) return out;
    buffer_.erase(0, line + 2);
    out.body += take(bytes);
    take(2);
    if (bytes == 0) return out;
  }
}

Answer Client::ask(const std::string& method, const std::string& path, const std::string& body,
                   const std::map<std::string, std::string>& headers) {
  std::string text = method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  send(text + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  return answer();
}

Answer ask(uint16_t port, const std::string& method, const std::string& path, const std::string& body,
           const std::map<std::string, std::string>& headers) {
  return Client(port).ask(method, path, body, headers);
}

}  // namespace quamba2::server
