// SPDX-License-Identifier: Apache-2.0
#include "quamba2/chat_template.h"

#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "quamba2/error.h"
#include "text/chat_files.h"
#include "text/jinja/content_parts.h"
#include "text/jinja/render.h"
#include "text/utf8.h"

namespace quamba2 {

struct ChatTemplate::Impl {
  std::string source, where;
  std::shared_ptr<const jinja::Block> block;
  SpecialTokens tokens;
  bool takes_parts = false;  // "content" as a list, not only as a string
};

ChatTemplate ChatTemplate::parse(std::string_view source, const std::string& where) {
  auto impl = std::make_shared<Impl>();
  try {
    if (source.size() > jinja::kMaxTemplateBytes) jinja::unsupported("it is larger than 1 MiB");
    if (utf8_valid_prefix(source) != source.size()) jinja::unsupported("it is no UTF-8");
    impl->source = source;
    impl->where = where;
    impl->block = std::make_shared<const jinja::Block>(jinja::parse(source));
  } catch (const Error& e) {
    throw e.within(where);
  }
  impl->takes_parts = jinja::goes_through_content(*impl->block);
  return ChatTemplate(std::move(impl));
}

std::optional<ChatTemplate> ChatTemplate::find(const std::string& directory, const std::string& name) {
  const std::optional<ChatSource> found = find_chat_source(directory, name);
  if (!found) return std::nullopt;
  ChatTemplate out = parse(found->text, found->where);
  auto impl = std::make_shared<Impl>(*out.impl_);
  impl->tokens = read_special_tokens(directory);
  return ChatTemplate(std::move(impl));
}

ChatTemplate ChatTemplate::chatml() {
  return parse(
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
      "'\\n' }}"
      "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
      "the ChatML template");
}

const std::string& ChatTemplate::source() const { return impl_->source; }
const std::string& ChatTemplate::where() const { return impl_->where; }

std::string ChatTemplate::token(std::string_view name) const {
  for (const auto& [key, text] : impl_->tokens) {
    if (key == name) return text;
  }
  return {};
}

ChatTemplate ChatTemplate::with_token(const std::string& name, const std::string& text) const {
  if (!token(name).empty()) return *this;
  auto impl = std::make_shared<Impl>(*impl_);
  impl->tokens.emplace_back(name, text);
  return ChatTemplate(std::move(impl));
}

namespace {

[[noreturn]] void refuse_messages(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::kUsage, "invalid messages", where, why);
}

// JSON that a user wrote: a fault in it is theirs, not a model's.
Json parse_users(std::string_view text, const std::string& where) {
  try {
    return Json::parse(text, where);
  } catch (const Error& e) {
    refuse_messages(where, e.why());
  }
}

// [{"type": "text", "text": "a"}, ...] as one string.
Json joined_parts(const Json& parts, const std::string& where) {
  std::string out;
  for (const Json& part : parts.as_array(where)) {
    const Json* text = part.is_string() ? &part : part.find("text");
    if (!text || !text->is_string()) refuse_messages(where, "only parts of the type \"text\" are known here");
    out += text->as_string(where);
  }
  return out;
}

Json checked_messages(Json messages, bool takes_parts) {
  if (!messages.is_array()) refuse_messages("messages", "a list is expected");
  Json::Array out;
  for (const Json& message : messages.as_array("messages")) {
    const std::string where = "messages[" + std::to_string(out.size()) + "]";
    const Json* role = message.find("role");
    if (!role || !role->is_string()) refuse_messages(where, "an object with a \"role\" is expected");
    out.push_back(message);
    const Json* content = message.find("content");
    if (content && content->is_array() && !takes_parts) {
      out.back().set("content", joined_parts(*content, where + ".content"));
    }
  }
  return out;
}

void set(jinja::Members* variables, const std::string& name, jinja::Value value) {
  for (auto& [key, old] : *variables) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  variables->emplace_back(name, std::move(value));
}

jinja::Members base_variables(const ChatTemplateOptions& options, const SpecialTokens& tokens) {
  jinja::Members out;
  // As Hugging Face does: these are always defined.
  set(&out, "tools", {});
  set(&out, "documents", {});
  for (const auto& [name, text] : tokens) set(&out, name, text);
  set(&out, "add_generation_prompt", options.add_generation_prompt);
  if (!options.tools.empty()) {
    const Json tools = parse_users(options.tools, "tools");
    if (!tools.is_array() && !tools.is_null()) refuse_messages("tools", "a list is expected");
    set(&out, "tools", jinja::from_json(tools));
  }
  if (!options.variables.empty()) {
    const Json given = parse_users(options.variables, "variables");
    if (!given.is_object()) refuse_messages("variables", "an object is expected");
    for (const auto& [name, value] : given.as_object("variables")) {
      if (name == "messages" || name == "loop") refuse_messages("variables", "\"" + name + "\" cannot be set");
      set(&out, name, jinja::from_json(value));
    }
  }
  return out;
}

std::string run(const jinja::Block& block, jinja::Members variables, jinja::Value messages, const std::string& where) {
  set(&variables, "messages", std::move(messages));
  try {
    return jinja::render(block, std::move(variables), std::time(nullptr));
  } catch (const Error& e) {
    throw e.within(where);
  }
}

}  // namespace

std::string ChatTemplate::render(const std::vector<ChatMessage>& messages, const ChatTemplateOptions& options) const {
  jinja::Items items;
  for (const ChatMessage& message : messages) {
    items.push_back(
        jinja::make_dict({{"role", utf8_sanitize(message.role)}, {"content", utf8_sanitize(message.content)}}));
  }
  return run(*impl_->block, base_variables(options, impl_->tokens), jinja::make_list(std::move(items)), impl_->where);
}

std::string ChatTemplate::render_json(std::string_view messages, const ChatTemplateOptions& options) const {
  const Json checked = checked_messages(parse_users(messages, "messages"), impl_->takes_parts);
  return run(*impl_->block, base_variables(options, impl_->tokens), jinja::from_json(checked), impl_->where);
}

}  // namespace quamba2
