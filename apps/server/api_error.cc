// SPDX-License-Identifier: Apache-2.0
#include "api_error.h"

#include <nlohmann/json.hpp>

namespace quamba2::server {
namespace {

const char* type_of(int status) {
  switch (status) {
    case 401: return "authentication_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    default: return status < 500 ? "invalid_request_error" : "server_error";
  }
}

nlohmann::ordered_json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
}

}  // namespace

ApiError from_error(const Error& error) {
  const bool users = error.code() == ErrorCode::kUsage;
  ApiError out(users ? 400 : error.code() == ErrorCode::kInterrupted ? 503 : 500, error.what());
  if (users) out.param = error.where();
  return out;
}

std::string error_body(const ApiError& error) {
  nlohmann::ordered_json inner;
  inner["message"] = error.message;
  inner["type"] = type_of(error.status);
  inner["param"] = text_or_null(error.param);
  inner["code"] = text_or_null(error.code);
  nlohmann::ordered_json body;
  body["error"] = std::move(inner);
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

HttpResponse error_response(const ApiError& error) {
  HttpResponse response{error.status, error_body(error)};
  if (error.retry_after > 0) response.headers.push_back({"Retry-After", std::to_string(error.retry_after)});
  if (error.status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

}  // namespace quamba2::server
