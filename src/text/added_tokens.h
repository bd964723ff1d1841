// SPDX-License-Identifier: Apache-2.0
// Added tokens: texts that are recognised in the input before anything else cuts it up, leftmost and longest first.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/bpe.h"

namespace quamba2 {

class Json;
class Normalizer;

struct AddedToken {
  std::string content;
  std::string decoded;  // what it decodes to: `content`, normalized if it matches normalized text (as tokenizers 0.23)
  int32_t id = 0;
  bool special = false, normalized = false, lstrip = false, rstrip = false, single_word = false;
};

// A trie over bytes that finds the longest of its texts at a place.
class TokenTrie {
 public:
  TokenTrie() : nodes_(1) {}
  void add(std::string_view text, int32_t value);
  // The longest text that `at` starts with: its length and value; length 0 for none.
  struct Found {
    size_t length;
    int32_t value;
  };
  Found longest(std::string_view at) const;
  bool empty() const { return nodes_.size() == 1; }
  bool may_start(char byte) const { return starts_[static_cast<uint8_t>(byte)]; }

 private:
  struct Node {
    std::vector<std::pair<char, int32_t>> children;
    int32_t value = -1;
  };
  int32_t child(int32_t node, char byte) const;
  std::vector<Node> nodes_;
  bool starts_[256] = {};
};

class AddedTokens {
 public:
  // `spec` is the member "added_tokens" or nullptr. Their ids have to agree with those of `bpe`; tokens of the
  // vocabulary may appear again here. Throws Error{kModelFile}.
  static AddedTokens from_json(const Json* spec, const Bpe& bpe, const Normalizer& normalizer, int64_t id_limit,
                               const std::string& where);

  // `id` is -1 for a stretch of plain text.
  using Sink = std::function<void(std::string_view text, int32_t id)>;
  // Cuts `text` at the tokens that match before normalization, or at those that match after it. Special ones are left
  // in the plain text unless `parse_special`.
  void split(std::string_view text, bool normalized, bool parse_special, const Sink& sink) const;

  std::optional<int32_t> find(std::string_view content) const;
  const AddedToken* by_id(int32_t id) const;
  bool is_special(int32_t id) const;
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  bool holds(const AddedToken& token) const;
  void check(const AddedToken& token, const Bpe& bpe, const std::string& where) const;
  std::vector<AddedToken> tokens_;
  StringMap<int32_t> by_content_;               // index into tokens_
  std::unordered_map<int32_t, int32_t> by_id_;  // index into tokens_
  TokenTrie raw_, normalized_;
};

}  // namespace quamba2
