// SPDX-License-Identifier: Apache-2.0
// Failures as clients of the OpenAI API expect them: a status and a body {"error": {message, type, param, code}}.
#pragma once

#include <exception>
#include <string>

#include "http.h"
#include "quamba2/error.h"

namespace quamba2::server {

struct ApiError : std::exception {
  ApiError(int status_code, std::string text, std::string parameter = {}, std::string error_code = {})
      : status(status_code), message(std::move(text)), param(std::move(parameter)), code(std::move(error_code)) {}
  const char* what() const noexcept override { return message.c_str(); }

  int status;
  std::string message, param, code;
  int retry_after = 0;  // seconds; 0: not said
};

// The library's errors: the user's own are 400, the others 500.
ApiError from_error(const Error& error);
std::string error_body(const ApiError& error);
HttpResponse error_response(const ApiError& error);

}  // namespace quamba2::server
