// SPDX-License-Identifier: Apache-2.0
#include "text/added_tokens.h"

#include <algorithm>

#include "quamba2/error.h"
#include "text/json_fields.h"
#include "text/normalizer.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  size_t at = utf8_last(text);
  return is_word(utf8_next(text, &at));
}

bool starts_with_word(std::string_view text) {
  size_t at = 0;
  return !text.empty() && is_word(utf8_next(text, &at));
}

// Where the white space at the end of `text` begins.
size_t trailing_space(std::string_view text) {
  while (!text.empty()) {
    size_t at = utf8_last(text);
    const size_t last = at;
    if (!is_white_space(utf8_next(text, &at))) break;
    text = text.substr(0, last);
  }
  return text.size();
}

size_t leading_space(std::string_view text) {
  size_t at = 0, end = 0;
  while (at < text.size() && is_white_space(utf8_next(text, &at))) end = at;
  return end;
}

AddedToken parse_token(const Json& spec, int64_t id_limit, const std::string& where) {
  AddedToken t;
  t.content = require_string(spec, "content", where);
  t.id = require_id(require(spec, "id", where), id_limit, where + ".id");
  t.special = spec.get("special", false);
  t.normalized = spec.get("normalized", !t.special);
  t.lstrip = spec.get("lstrip", false);
  t.rstrip = spec.get("rstrip", false);
  t.single_word = spec.get("single_word", false);
  return t;
}

}  // namespace

int32_t TokenTrie::child(int32_t node, char byte) const {
  for (const auto& [key, next] : nodes_[static_cast<size_t>(node)].children) {
    if (key == byte) return next;
  }
  return -1;
}

void TokenTrie::add(std::string_view text, int32_t value) {
  if (text.empty()) return;
  starts_[static_cast<uint8_t>(text[0])] = true;
  int32_t node = 0;
  for (char byte : text) {
    int32_t next = child(node, byte);
    if (next < 0) {
      next = static_cast<int32_t>(nodes_.size());
      nodes_.emplace_back();
      nodes_[static_cast<size_t>(node)].children.emplace_back(byte, next);
    }
    node = next;
  }
  int32_t& slot = nodes_[static_cast<size_t>(node)].value;
  if (slot < 0) slot = value;
}

TokenTrie::Found TokenTrie::longest(std::string_view at) const {
  Found found{0, -1};
  int32_t node = 0;
  for (size_t i = 0; i < at.size(); ++i) {
    node = child(node, at[i]);
    if (node < 0) break;
    const int32_t value = nodes_[static_cast<size_t>(node)].value;
    if (value >= 0) found = {i + 1, value};
  }
  return found;
}

AddedTokens AddedTokens::from_json(const Json* spec, const Bpe& bpe, const Normalizer& normalizer, int64_t id_limit,
                                   const std::string& where) {
  AddedTokens added;
  if (spec == nullptr) return added;
  const Json::Array& list = spec->as_array(where);
  for (size_t i = 0; i < list.size(); ++i) {
    AddedToken token = parse_token(list[i], id_limit, where + "[" + std::to_string(i) + "]");
    token.decoded = token.normalized ? normalizer.apply(token.content) : token.content;
    if (token.content.empty() || added.holds(token)) continue;
    added.check(token, bpe, where + "[" + std::to_string(i) + "]");
    const auto index = static_cast<int32_t>(added.tokens_.size());
    added.by_content_.emplace(token.content, index);
    added.by_id_.emplace(token.id, index);
    added.tokens_.push_back(std::move(token));
  }
  for (const bool special : {true, false}) {  // of two that normalize to one text, a special one wins
    for (size_t i = 0; i < added.tokens_.size(); ++i) {
      const AddedToken& t = added.tokens_[i];
      if (t.special != special) continue;
      (t.normalized ? added.normalized_ : added.raw_).add(t.decoded, static_cast<int32_t>(i));
    }
  }
  return added;
}

bool AddedTokens::holds(const AddedToken& token) const {
  const auto id = find(token.content);
  return id && *id == token.id;
}

void AddedTokens::check(const AddedToken& t, const Bpe& bpe, const std::string& where) const {
  const auto fail = [&](const std::string& why) {
    throw Error(ErrorCode::kModelFile, "invalid tokenizer", where,
                "the token \"" + t.content + "\" has the id " + std::to_string(t.id) + ", " + why);
  };
  if (const auto known = bpe.find(t.content); known && *known != t.id) {
    fail("but " + std::to_string(*known) + " in the vocabulary");
  }
  if (bpe.has(t.id) && bpe.token(t.id) != t.content) fail("which is that of \"" + std::string(bpe.token(t.id)) + "\"");
  if (const auto known = find(t.content)) fail("but " + std::to_string(*known) + " before");
  if (const AddedToken* other = by_id(t.id)) fail("which is that of \"" + other->content + "\"");
}

void AddedTokens::split(std::string_view text, bool normalized, bool parse_special, const Sink& sink) const {
  const TokenTrie& trie = normalized ? normalized_ : raw_;
  size_t done = 0;
  for (size_t at = 0; !trie.empty() && at < text.size();) {
    if (!trie.may_start(text[at])) {
      ++at;
      continue;
    }
    const TokenTrie::Found found = trie.longest(text.substr(at));
    if (found.length == 0) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + found.length;
    at = end;
    const AddedToken& t = tokens_[static_cast<size_t>(found.value)];
    if (t.special && !parse_special) continue;
    if (t.single_word && (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) continue;
    if (t.lstrip) begin = begin > done ? done + trailing_space(text.substr(done, begin - done)) : done;
    if (t.rstrip) at = end += leading_space(text.substr(end));
    if (done < begin) sink(text.substr(done, begin - done), -1);
    sink({}, t.id);
    done = end;
  }
  if (done < text.size()) sink(text.substr(done), -1);
}

std::optional<int32_t> AddedTokens::find(std::string_view content) const {
  const auto it = by_content_.find(content);
  if (it == by_content_.end()) return std::nullopt;
  return tokens_[static_cast<size_t>(it->second)].id;
}

const AddedToken* AddedTokens::by_id(int32_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[static_cast<size_t>(it->second)];
}

bool AddedTokens::is_special(int32_t id) const {
  const AddedToken* token = by_id(id);
  return token != nullptr && token->special;
}

}  // namespace quamba2
