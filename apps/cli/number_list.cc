// SPDX-License-Identifier: Apache-2.0
#include "number_list.h"

#include <algorithm>

#include "quamba2/error.h"

namespace quamba2::cli {
namespace {

int64_t parse_number(const std::string& text, const std::string& option, const std::string& part) {
  if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos)
    refuse_number_list(option, part);
  return std::stoll(text);
}

}  // namespace

void refuse_number_list(const std::string& option, const std::string& part) {
  throw Error(ErrorCode::kUsage, "bad value", option, "'" + part + "' is not a number, nor a range of them",
              "give a list as 128,512 or a range as 128-512+128 or 128-1024*2");
}

std::vector<int64_t> parse_number_list(const std::string& text, const std::string& option) {
  std::vector<int64_t> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    const size_t dash = part.find('-'), step_at = part.find_first_of("+*");
    const int64_t first = parse_number(part.substr(0, dash), option, part);
    int64_t last = first, step = 1;
    if (dash != std::string::npos) {
      last = parse_number(part.substr(dash + 1, step_at == std::string::npos ? step_at : step_at - dash - 1), option,
                          part);
      if (step_at != std::string::npos) step = parse_number(part.substr(step_at + 1), option, part);
    }
    const bool times = step_at != std::string::npos && part[step_at] == '*';
    if (last < first || step < (times ? 2 : 1) || (times && first == 0)) refuse_number_list(option, part);
    for (int64_t value = first; value <= last; value = times ? value * step : value + step) {
      out.push_back(value);
      if (out.size() > 1000) refuse_number_list(option, part);
    }
    at = end + 1;
  }
  return out;
}

}  // namespace quamba2::cli
