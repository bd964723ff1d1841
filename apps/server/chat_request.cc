// SPDX-License-Identifier: Apache-2.0
#include "chat_request.h"

#include <fmt/format.h>

namespace quamba2::server {
namespace {

constexpr int64_t kDefaultMaxTokens = 2048, kMaxTopLogprobs = 20;
constexpr size_t kMaxMessages = 8192;

std::string parse_messages(JsonFields* fields) {
  const Json* messages = fields->find("messages");
  if (!messages) throw ApiError(400, "'messages' is missing", "messages");
  if (!messages->is_array() || messages->empty()) bad_field("messages", "it must be a list with at least one message");
  if (messages->size() > kMaxMessages) bad_field("messages", fmt::format("at most {} are possible", kMaxMessages));
  for (const Json& message : *messages) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string())
      bad_field("messages", "each is an object with a 'role'");
    const auto content = message.find("content");
    if (content != message.end() && !content->is_string() && !content->is_array() && !content->is_null())
      bad_field("messages", "a 'content' is a string or a list of parts");
    if (content == message.end() || !content->is_array()) continue;
    for (const Json& part : *content) {
      const bool text =
          part.is_object() && part.value("type", Json()) == "text" && part.value("text", Json()).is_string();
      if (!text)
        bad_field("messages",
                  "parts of a 'content' are {\"type\": \"text\", \"text\": ...}: the models read text only");
    }
  }
  return messages->dump();
}

// Tools are shown to the model by its template; its answer comes back as text.
std::string parse_tools(JsonFields* fields) {
  const Json* tools = fields->find("tools");
  const Json* choice = fields->find("tool_choice");
  if (choice && *choice != "none" && *choice != "auto")
    bad_field("tool_choice", "'none' and 'auto' are possible: calls cannot be forced");
  if (!tools || (choice && *choice == "none")) return {};
  if (!tools->is_array()) bad_field("tools", "it must be a list");
  return tools->empty() ? std::string() : tools->dump();
}

void parse_format(JsonFields* fields) {
  const Json* format = fields->find("response_format");
  if (!format) return;
  if (!format->is_object() || format->value("type", Json()) != "text")
    bad_field("response_format", "only {\"type\": \"text\"} is possible");
}

int64_t parse_max_tokens(JsonFields* fields, const RequestLimits& limits) {
  const int64_t old_name = fields->integer("max_tokens", kDefaultMaxTokens, 0, limits.max_length);
  return fields->integer("max_completion_tokens", old_name, 0, limits.max_length);
}

}  // namespace

ChatRequest parse_chat(std::string_view body, const RequestLimits& limits) {
  JsonFields fields(body);
  ChatRequest out;
  out.model = fields.text("model");
  out.messages = parse_messages(&fields);
  out.rendering.tools = parse_tools(&fields);
  out.rendering.add_generation_prompt = fields.boolean("add_generation_prompt", true);
  if (const Json* variables = fields.find("chat_template_kwargs")) {
    if (!variables->is_object()) bad_field("chat_template_kwargs", "it must be an object");
    out.rendering.variables = variables->dump();
  }
  parse_format(&fields);
  out.sampling = parse_sampling(&fields, limits);
  out.max_tokens_given = fields.has("max_tokens") || fields.has("max_completion_tokens");
  out.sampling.max_tokens = parse_max_tokens(&fields, limits);
  out.stream = fields.boolean("stream", false);
  out.include_usage = parse_include_usage(&fields, out.stream);
  out.return_token_ids = fields.boolean("return_token_ids", false);
  out.n = fields.integer("n", 1, 1, limits.max_choices);
  const auto top = static_cast<int32_t>(fields.integer("top_logprobs", 0, 0, kMaxTopLogprobs));
  if (fields.boolean("logprobs", false)) {
    out.logprobs = top;
  } else if (top > 0) {
    bad_field("top_logprobs", "it is possible with 'logprobs' only");
  }
  check_unknown(fields, limits);
  return out;
}

}  // namespace quamba2::server
