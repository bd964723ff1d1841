// SPDX-License-Identifier: Apache-2.0
#include "text/chat_files.h"

#include "base/file.h"
#include "base/json.h"
#include "quamba2/error.h"
#include "text/jinja/budget.h"

namespace quamba2 {
namespace {

constexpr uint64_t kMaxConfigBytes = 64 << 20;

Json read_json(const std::string& directory, const char* name) {
  const std::string path = join_path(directory, name);
  return path_exists(path) ? Json::parse(read_file(path, kMaxConfigBytes), path) : Json();
}

// A name becomes part of a path: nothing that leads elsewhere.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
                              std::string::npos;
}

[[noreturn]] void refuse_name(const std::string& where, const std::string& name, const std::string& known) {
  throw Error(ErrorCode::kModelFile, "no chat template \"" + name + "\"", where, "known are: " + known);
}

// From the "chat_template" of tokenizer_config.json.
ChatSource configured(const Json& value, const std::string& name, const std::string& where) {
  if (value.is_string()) {
    if (name != "default") refuse_name(where, name, "default");
    return {value.as_string(where), where};
  }
  std::string known;
  for (const Json& entry : value.as_array(where)) {
    const std::string entry_name = entry.get("name", "");
    const Json* text = entry.find("template");
    if (entry_name == name && text) return {text->as_string(where), where + " \"" + name + "\""};
    known += (known.empty() ? "" : ", ") + entry_name;
  }
  refuse_name(where, name, known.empty() ? "none" : known);
}

}  // namespace

std::optional<ChatSource> find_chat_source(const std::string& directory, const std::string& name) {
  const std::string main = join_path(directory, "chat_template.jinja");
  const auto read = [](const std::string& path) { return ChatSource{read_file(path, jinja::kMaxTemplateBytes), path}; };
  if (name == "default" && path_exists(main)) return read(main);
  if (name != "default" && is_plain_name(name)) {
    const std::string path = join_path(join_path(directory, "additional_chat_templates"), name + ".jinja");
    if (path_exists(path)) return read(path);
  }
  const Json config = read_json(directory, "tokenizer_config.json");
  if (const Json* value = config.find("chat_template")) {
    return configured(*value, name, join_path(directory, "tokenizer_config.json") + ": chat_template");
  }
  if (name != "default" && path_exists(main)) refuse_name(directory, name, "default");
  return std::nullopt;
}

SpecialTokens read_special_tokens(const std::string& directory) {
  SpecialTokens out;
  const Json config = read_json(directory, "tokenizer_config.json");
  const Json map = read_json(directory, "special_tokens_map.json");
  for (const char* name :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    for (const Json* source : {&config, &map}) {
      const Json* value = source->find(name);
      if (value && value->is_object()) value = value->find("content");
      if (!value || !value->is_string()) continue;
      out.emplace_back(name, value->as_string(name));
      break;
    }
  }
  return out;
}

}  // namespace quamba2
