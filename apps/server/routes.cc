// SPDX-License-Identifier: Apache-2.0
#include "routes.h"

#include <fmt/format.h>

#include <string_view>

namespace quamba2::server {
namespace {

constexpr Route kRoutes[] = {
    {"POST", "/v1/completions", RouteKind::kEndpoint, true, post_completions},
    {"POST", "/v1/chat/completions", RouteKind::kEndpoint, true, post_chat_completions},
    {"GET", "/v1/models", RouteKind::kEndpoint, true, get_models},
    {"GET", "/v1/models/", RouteKind::kEndpoint, true, get_model},
    {"POST", "/tokenize", RouteKind::kEndpoint, true, post_tokenize},
    {"POST", "/detokenize", RouteKind::kEndpoint, true, post_detokenize},
    {"GET", "/tokenizer_info", RouteKind::kEndpoint, true, get_tokenizer_info},
    {"GET", "/", RouteKind::kPage, false, nullptr},
    {"GET", "/states", RouteKind::kEndpoint, true, get_states},
    {"POST", "/states/", RouteKind::kEndpoint, true, post_state},
    {"DELETE", "/states/", RouteKind::kEndpoint, true, delete_state},
    {"GET", "/version", RouteKind::kEndpoint, false, get_version},
    {"GET", "/metrics", RouteKind::kEndpoint, false, get_metrics},
    {"GET", "/health", RouteKind::kReady, false, nullptr},
    {"GET", "/ready", RouteKind::kReady, false, nullptr},
    {"GET", "/v2/health/ready", RouteKind::kReady, false, nullptr},
    {"GET", "/live", RouteKind::kAlive, false, nullptr},
    {"GET", "/v2/health/live", RouteKind::kAlive, false, nullptr},
    {"GET", "/ping", RouteKind::kAlive, false, nullptr},
};

bool matches(const Route& route, std::string_view path) {
  const std::string_view pattern = route.path;
  if (pattern.size() > 1 && pattern.back() == '/') return path.size() > pattern.size() && path.starts_with(pattern);
  return path == pattern;
}

// Takes as long for every wrong key of one length.
bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

Found find_route(const std::string& method, const std::string& path) {
  const char* other = nullptr;
  for (const Route& route : kRoutes) {
    if (!matches(route, path)) continue;
    if (method == route.method) return {&route};
    other = route.method;
  }
  const std::string where = path.substr(0, 200);
  if (other) return {nullptr, ApiError(405, fmt::format("{} takes {} only", where, other), "", "method_not_allowed")};
  return {nullptr, ApiError(404, fmt::format("there is no {} here", where), "", "route_not_found")};
}

void check_key(const std::string& authorization, const std::string& key) {
  if (key.empty() || same(authorization, "Bearer " + key)) return;
  throw ApiError(401, authorization.empty() ? "an API key is needed: 'Authorization: Bearer KEY'" : "wrong API key", "",
                 "invalid_api_key");
}

void answer_errors(const std::shared_ptr<Responder>& responder, const std::function<void()>& endpoint) {
  try {
    endpoint();
  } catch (const ApiError& e) {
    responder->send(error_response(e));
  } catch (const Error& e) {
    responder->send(error_response(from_error(e)));
  } catch (const std::bad_alloc&) {
    responder->send(error_response(ApiError(503, "the server is out of memory")));
  } catch (const std::exception& e) {
    responder->send(error_response(ApiError(500, std::string("internal fault: ") + e.what())));
  }
}

}  // namespace quamba2::server
