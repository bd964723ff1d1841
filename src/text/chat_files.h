// SPDX-License-Identifier: Apache-2.0
// Where the files of a model keep its chat template, and the special tokens that go with it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace quamba2 {

struct ChatSource {
  std::string text, where;
};
using SpecialTokens = std::vector<std::pair<std::string, std::string>>;  // "bos_token", "<s>"

// The template `name` of a model directory; nothing where it has no template at all. Throws Error{kModelFile} where it has
// some, but not this one.
std::optional<ChatSource> find_chat_source(const std::string& directory, const std::string& name);
SpecialTokens read_special_tokens(const std::string& directory);

}  // namespace quamba2
