// SPDX-License-Identifier: Apache-2.0
// Which endpoint answers which method and path.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api.h"

namespace quamba2::server {

// kReady: 503 while the model loads and the server shuts down, as endpoints; kAlive and kPage are answered at all times.
enum class RouteKind { kEndpoint, kReady, kAlive, kPage };

struct Route {
  const char* method;
  const char* path;  // one that ends in '/' stands for what follows, too
  RouteKind kind;
  bool guarded;  // asks for the API key
  Endpoint endpoint;
};

struct Found {
  const Route* route = nullptr;
  ApiError error{404, "not found"};  // where there is none: 404, or 405 for another method
};
Found find_route(const std::string& method, const std::string& path);

// Throws ApiError 401 where a key is asked for and `authorization` is not "Bearer KEY".
void check_key(const std::string& authorization, const std::string& key);

// Runs an endpoint; what it throws is the answer.
void answer_errors(const std::shared_ptr<Responder>& responder, const std::function<void()>& endpoint);

}  // namespace quamba2::server
