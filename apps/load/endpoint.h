// SPDX-License-Identifier: Apache-2.0
// Where a server is.
#pragma once

#include <string>

namespace quamba2::load {

struct Endpoint {
  std::string host, port;
  std::string path = {};     // before /v1/...
  std::string api_key = {};  // empty: none is sent
};

// "http://127.0.0.1:8000", with or without a /v1 at its end. Throws Error{kUsage} that names `option`; there is no TLS.
Endpoint parse_endpoint(const std::string& url, const std::string& option);

}  // namespace quamba2::load
