// SPDX-License-Identifier: Apache-2.0
// From a conversation to the text that a model was trained on: chat templates as Hugging Face models bring them along.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2 {

struct ChatMessage {
  std::string role, content;  // "system", "user", "assistant", "tool"
};

struct ChatTemplateOptions {
  bool add_generation_prompt = true;  // ends with what begins the model's answer
  std::string tools = {};             // a JSON list of tools, which the template writes out; empty: none
  std::string variables = {};         // a JSON object: further variables of the template ({"enable_thinking": false})
};

// A template in the part of Jinja that docs/chat.md describes. Immutable, safe to use from many threads at once; copies
// share it. Templates are not trusted: time, memory and nesting are bounded.
class ChatTemplate {
 public:
  // What a model directory holds: chat_template.jinja, or the "chat_template" of tokenizer_config.json, and the special
  // tokens that it may name. Of several, `name` picks one (the files additional_chat_templates/NAME.jinja, or the list in
  // tokenizer_config.json). Nothing where the directory has no template; Error{kModelFile} for one that is not known here
  // and for a name that is not there.
  static std::optional<ChatTemplate> find(const std::string& directory, const std::string& name = "default");
  // Throws Error{kModelFile} with the line of what is not known here. `where` names the template in errors.
  static ChatTemplate parse(std::string_view source, const std::string& where);
  // <|im_start|>role\ncontent<|im_end|>\n
  static ChatTemplate chatml();

  // Both throw Error{kUsage} where the template does not take these messages. The text has its special tokens written
  // out: encode it without adding any. Invalid UTF-8 becomes U+FFFD.
  std::string render(const std::vector<ChatMessage>& messages, const ChatTemplateOptions& options = {}) const;
  // `messages`: a JSON list as the OpenAI API has it. Where the template takes only strings as "content", lists of text
  // parts are joined to one.
  std::string render_json(std::string_view messages, const ChatTemplateOptions& options = {}) const;

  const std::string& source() const;
  const std::string& where() const;
  // Special tokens of the template, such as "bos_token"; empty where the model names none.
  std::string token(std::string_view name) const;
  // The same template with a token that is not named yet.
  ChatTemplate with_token(const std::string& name, const std::string& text) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace quamba2
