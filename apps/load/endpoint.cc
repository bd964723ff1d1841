// SPDX-License-Identifier: Apache-2.0
#include "endpoint.h"

#include <string_view>

#include "quamba2/error.h"

namespace quamba2::load {
namespace {

[[noreturn]] void refuse(const std::string& url, const std::string& option, const std::string& why) {
  throw Error(ErrorCode::kUsage, "bad address", option, "'" + url + "' " + why, "give one as http://127.0.0.1:8000");
}

}  // namespace

Endpoint parse_endpoint(const std::string& url, const std::string& option) {
  constexpr std::string_view kScheme = "http://";
  if (url.starts_with("https://")) refuse(url, option, "wants TLS, which this client has not");
  if (!url.starts_with(kScheme)) refuse(url, option, "does not begin with http://");
  std::string rest = url.substr(kScheme.size());
  Endpoint out;
  if (const size_t slash = rest.find('/'); slash != std::string::npos) {
    out.path = rest.substr(slash);
    rest.resize(slash);
  }
  while (out.path.ends_with('/')) out.path.pop_back();
  if (out.path.ends_with("/v1")) out.path.resize(out.path.size() - 3);
  const size_t bracket = rest.rfind(']'), colon = rest.rfind(':');
  const bool has_port = colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  out.port = has_port ? rest.substr(colon + 1) : "80";
  out.host = has_port ? rest.substr(0, colon) : rest;
  if (out.host.starts_with('[') && out.host.ends_with(']')) out.host = out.host.substr(1, out.host.size() - 2);
  if (out.host.empty()) refuse(url, option, "has no host");
  const bool digits = !out.port.empty() && out.port.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || out.port.size() > 5 || std::stoi(out.port) > 65535) refuse(url, option, "has no good port");
  for (const char c : out.host + out.path) {
    if (c <= ' ' || c == 0x7F) refuse(url, option, "has blanks or control characters");
  }
  return out;
}

}  // namespace quamba2::load
