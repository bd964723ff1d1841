// SPDX-License-Identifier: Apache-2.0
#include "event_reader.h"

#include <nlohmann/json.hpp>

namespace quamba2::load {
namespace {

using Json = nlohmann::json;

constexpr size_t kLongestLine = 1 << 20;
constexpr uint64_t kMostTokens = uint64_t{1} << 40;  // of one request; servers count fewer

// Does `json` have the member `name` with a value that begins with one of `begins`? Events are not parsed whole: the client
// must not take time from a server on the same machine.
bool has_member(std::string_view json, std::string_view name, std::string_view begins) {
  for (size_t at = 0; (at = json.find(name, at)) != std::string_view::npos;) {
    at = json.find_first_not_of(' ', at + name.size());
    if (at == std::string_view::npos) return false;
    if (json[at] != ':') continue;
    at = json.find_first_not_of(' ', at + 1);
    return at != std::string_view::npos && begins.find(json[at]) != std::string_view::npos;
  }
  return false;
}

int64_t member(const Json& object, const char* name) {
  const auto at = object.find(name);
  const bool good = at != object.end() && at->is_number_unsigned() && at->get<uint64_t>() <= kMostTokens;
  return good ? at->get<int64_t>() : -1;
}

std::string error_message(const Json& event) {
  const Json& error = event["error"];
  if (error.is_object() && error.contains("message") && error["message"].is_string()) return error["message"];
  return "an error event without a message";
}

}  // namespace

void EventReader::take_line(std::string_view line, EventNews* news) {
  constexpr std::string_view kData = "data:";
  if (!line.starts_with(kData)) return;  // comments, and the blank line behind an event
  line.remove_prefix(kData.size());
  while (line.starts_with(' ')) line.remove_prefix(1);
  if (line == "[DONE]") {
    news->done = true;
    return;
  }
  const bool plain = has_member(line, "\"choices\"", "[") && !has_member(line, "\"usage\"", "{");
  if (plain && !line.starts_with("{\"error\"")) {
    ++news->texts;
    return;
  }
  const Json event = Json::parse(line, nullptr, false);
  if (!event.is_object()) {
    news->error = "an event that is no JSON";
  } else if (event.contains("error")) {
    news->error = error_message(event);
  } else if (event.contains("usage") && event["usage"].is_object()) {
    news->prompt_tokens = member(event["usage"], "prompt_tokens");
    news->output_tokens = member(event["usage"], "completion_tokens");
    if (event.contains("choices") && !event["choices"].empty()) ++news->texts;
  }
}

EventNews EventReader::push(std::string_view bytes) {
  EventNews news;
  pending_ += bytes;
  size_t begin = 0;
  for (size_t end; (end = pending_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    std::string_view line = std::string_view(pending_).substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    take_line(line, &news);
  }
  pending_.erase(0, begin);
  if (pending_.size() > kLongestLine) {
    news.error = "an event without end";
    pending_.clear();
  }
  return news;
}

}  // namespace quamba2::load
