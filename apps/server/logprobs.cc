// SPDX-License-Identifier: Apache-2.0
#include "logprobs.h"

#include <fmt/format.h>

#include <cmath>

namespace quamba2::server {
namespace {

bool is_utf8(const std::string& text) {
  // The writer replaces what is no UTF-8: text that comes out as it went in is valid.
  try {
    OrderedJson(text).dump();
    return true;
  } catch (const OrderedJson::exception&) {
    return false;
  }
}

std::string name_of(const std::string& bytes) {
  if (is_utf8(bytes)) return bytes;
  std::string name = "bytes:";
  for (const char c : bytes) name += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return name;
}

}  // namespace

std::string token_name(const Tokenizer& tokenizer, int32_t id) { return name_of(tokenizer.token_bytes(id)); }

void CompletionLogprobs::clear() {
  for (OrderedJson* list : {&tokens_, &values_, &tops_, &offsets_}) *list = OrderedJson::array();
}

void CompletionLogprobs::add(const TokenReport& token) {
  const std::string bytes = tokenizer_.token_bytes(token.id), name = name_of(bytes);
  tokens_.push_back(name);
  offsets_.push_back(characters_);
  for (const char c : bytes) characters_ += (c & 0xC0) != 0x80;
  if (std::isnan(token.log_probability)) {
    values_.push_back(nullptr);
    tops_.push_back(nullptr);
    return;
  }
  values_.push_back(token.log_probability);
  // Likeliest first: where two tokens have one name, the larger value stays.
  OrderedJson top = OrderedJson::object();
  for (const TokenScore& t : token.top) {
    const std::string other = t.id == token.id ? name : token_name(tokenizer_, t.id);
    if (!top.contains(other)) top[other] = t.log_probability;
  }
  if (!top.contains(name)) top[name] = token.log_probability;
  tops_.push_back(std::move(top));
}

OrderedJson CompletionLogprobs::take() {
  OrderedJson out;
  out["tokens"] = std::move(tokens_);
  out["token_logprobs"] = std::move(values_);
  out["top_logprobs"] = std::move(tops_);
  out["text_offset"] = std::move(offsets_);
  clear();
  return out;
}

OrderedJson chat_logprob(const Tokenizer& tokenizer, const TokenReport& token) {
  const auto entry = [&](int32_t id, double value) {
    const std::string bytes = tokenizer.token_bytes(id);
    OrderedJson out;
    out["token"] = name_of(bytes);
    out["logprob"] = value;
    out["bytes"] = OrderedJson::array();
    for (const char c : bytes) out["bytes"].push_back(static_cast<unsigned char>(c));
    return out;
  };
  OrderedJson out = entry(token.id, token.log_probability);
  out["top_logprobs"] = OrderedJson::array();
  for (const TokenScore& t : token.top) out["top_logprobs"].push_back(entry(t.id, t.log_probability));
  return out;
}

OrderedJson prompt_logprobs(const Tokenizer& tokenizer, const std::vector<TokenReport>& tokens) {
  OrderedJson out = OrderedJson::array();
  for (const TokenReport& token : tokens) {
    if (std::isnan(token.log_probability)) {
      out.push_back(nullptr);
      continue;
    }
    OrderedJson entry = OrderedJson::object();
    const auto add = [&](int32_t id, double value) {
      entry[std::to_string(id)] = {{"logprob", value}, {"decoded_token", token_name(tokenizer, id)}};
    };
    for (const TokenScore& t : token.top) add(t.id, t.log_probability);
    add(token.id, token.log_probability);
    out.push_back(std::move(entry));
  }
  return out;
}

}  // namespace quamba2::server
