// SPDX-License-Identifier: Apache-2.0
#include "text/bpe.h"

#include <algorithm>

#include "base/check.h"
#include "quamba2/error.h"
#include "text/bpe_merge.h"
#include "text/byte_level.h"
#include "text/json_fields.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

constexpr uint64_t kEmptySlot = ~uint64_t{0};  // (-1, -1): no pair of ids
constexpr size_t kCachedWordBytes = 128;
constexpr size_t kCachedWords = 1 << 16;
// Positions inside a word are 32-bit.
constexpr size_t kMaxWordBytes = size_t{1} << 30;

[[noreturn]] void invalid(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::kModelFile, "invalid tokenizer", where, why);
}

}  // namespace

void MergeTable::reserve(size_t merges) {
  size_t slots = 16;
  while (slots < 2 * merges) slots *= 2;
  slots_.assign(slots, {kEmptySlot, {0, 0}});
  mask_ = slots - 1;
}

size_t MergeTable::slot_of(uint64_t key) const {
  uint64_t h = key * 0x9e3779b97f4a7c15ull;
  h ^= h >> 32;
  size_t i = static_cast<size_t>(h) & mask_;
  while (slots_[i].key != key && slots_[i].key != kEmptySlot) i = (i + 1) & mask_;
  return i;
}

void MergeTable::set(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = key_of(left, right);
  slots_[slot_of(key)] = {key, merge};
}

const MergeTable::Merge* MergeTable::find(int32_t left, int32_t right) const {
  const Slot& slot = slots_[slot_of(key_of(left, right))];
  return slot.key == kEmptySlot ? nullptr : &slot.merge;
}

Bpe Bpe::from_json(const Json& model, bool from_bytes, int64_t id_limit, const std::string& where) {
  const std::string type = model.get("type", "BPE");
  if (type != "BPE") refuse_type("model", type, where, "BPE");
  Bpe bpe;
  bpe.from_bytes_ = from_bytes;
  bpe.ignore_merges_ = model.get("ignore_merges", false);
  bpe.byte_fallback_ = model.get("byte_fallback", false);
  bpe.fuse_unknown_ = model.get("fuse_unk", false);
  bpe.prefix_ = model.get("continuing_subword_prefix", "");
  bpe.suffix_ = model.get("end_of_word_suffix", "");
  bpe.read_vocabulary(require(model, "vocab", where), id_limit, where + ".vocab");
  bpe.read_merges(require(model, "merges", where), where + ".merges");
  bpe.read_byte_ids(where);
  if (const Json* unknown = model.find("unk_token")) {
    const std::string& text = unknown->as_string(where + ".unk_token");
    const auto id = bpe.find(text);
    if (!id) invalid(where + ".unk_token", "the token \"" + text + "\" is not in the vocabulary");
    bpe.unknown_ = *id;
  }
  return bpe;
}

void Bpe::read_vocabulary(const Json& vocab, int64_t id_limit, const std::string& where) {
  const Json::Object& entries = vocab.as_object(where);
  vocab_.reserve(entries.size());
  for (const auto& [text, value] : entries) {
    const int32_t id = require_id(value, id_limit, where + "[\"" + text + "\"]");
    const auto [it, fresh] = vocab_.emplace(text, id);
    if (!fresh) invalid(where, "the token \"" + text + "\" appears twice");
    const auto at = static_cast<size_t>(id);
    if (at >= tokens_.size()) tokens_.resize(at + 1, nullptr);
    if (tokens_[at] != nullptr) {
      invalid(where, "\"" + *tokens_[at] + "\" and \"" + text + "\" both have the id " + std::to_string(id));
    }
    tokens_[at] = &it->first;  // node-based map: keys stay where they are
  }
}

void Bpe::read_merges(const Json& merges, const std::string& where) {
  const Json::Array& list = merges.as_array(where);
  merges_.reserve(list.size());
  const auto id_of = [&](const std::string& text, size_t i) {
    if (const auto id = find(text)) return *id;
    invalid(where + "[" + std::to_string(i) + "]", "the token \"" + text + "\" is not in the vocabulary");
  };
  for (size_t i = 0; i < list.size(); ++i) {
    std::string left, right;
    const Json& item = list[i];
    if (item.is_array() && item.as_array(where).size() == 2) {
      left = item.as_array(where)[0].as_string(where);
      right = item.as_array(where)[1].as_string(where);
    } else if (item.is_string() && item.as_string(where).find(' ') != std::string::npos) {
      const std::string& text = item.as_string(where);
      left = text.substr(0, text.find(' '));
      right = text.substr(left.size() + 1);
    } else {
      invalid(where + "[" + std::to_string(i) + "]", "a merge is \"a b\" or [\"a\", \"b\"]");
    }
    const int32_t a = id_of(left, i), b = id_of(right, i);
    const std::string_view tail = std::string_view(right).substr(std::min(prefix_.size(), right.size()));
    merges_.set(a, b, {static_cast<int32_t>(i), id_of(left.append(tail), i)});
  }
}

void Bpe::read_byte_ids(const std::string& where) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (size_t b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    byte_ids_[b] = find(map_bytes({&byte, 1})).value_or(-1);
    fallback_ids_[b] = find(std::string("<0x") + kHex[b >> 4] + kHex[b & 15] + ">").value_or(-1);
  }
}

std::optional<int32_t> Bpe::find(std::string_view token) const {
  const auto it = vocab_.find(token);
  if (it == vocab_.end()) return std::nullopt;
  return it->second;
}

std::string_view Bpe::token(int32_t id) const {
  return has(id) ? std::string_view(*tokens_[static_cast<size_t>(id)]) : std::string_view();
}

bool Bpe::initial_bytes(std::string_view word, std::vector<int32_t>* symbols) const {
  if (!prefix_.empty() || !suffix_.empty()) return false;
  for (char b : word) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(b)];
    if (id < 0) return false;
    symbols->push_back(id);
  }
  return true;
}

bool Bpe::byte_fallback(std::string_view text, std::vector<int32_t>* symbols) const {
  const auto missing = [this](char b) { return fallback_ids_[static_cast<uint8_t>(b)] < 0; };
  if (!byte_fallback_ || std::any_of(text.begin(), text.end(), missing)) return false;
  for (char b : text) symbols->push_back(fallback_ids_[static_cast<uint8_t>(b)]);
  return true;
}

// A pending unknown token is written when the next known character comes, not when a byte fallback does: as the
// original does it, order and all.
void Bpe::initial_characters(std::string_view word, std::vector<int32_t>* symbols) const {
  bool pending = false;
  std::string text;
  for (size_t at = 0; at < word.size();) {
    const size_t begin = at;
    at += utf8_length(word[at]);
    text.assign(begin > 0 ? prefix_ : std::string()).append(word.substr(begin, at - begin));
    if (at == word.size()) text += suffix_;
    if (const auto id = find(text)) {
      if (pending) symbols->push_back(unknown_);
      pending = false;
      symbols->push_back(*id);
    } else if (!byte_fallback(text, symbols) && unknown_ >= 0) {
      if (pending && !fuse_unknown_) symbols->push_back(unknown_);
      pending = true;
    }
  }
  if (pending) symbols->push_back(unknown_);
}

void Bpe::encode(std::string_view word, std::vector<int32_t>* ids) const {
  if (word.size() > kMaxWordBytes) {
    throw Error(ErrorCode::kUsage, "cannot encode the text", "", "one word of it has more than 2^30 bytes");
  }
  std::string mapped;
  if (from_bytes_ && ignore_merges_) mapped = map_bytes(word);
  if (ignore_merges_) {
    if (const auto id = find(from_bytes_ ? std::string_view(mapped) : word)) {
      ids->push_back(*id);
      return;
    }
  }
  std::vector<int32_t> symbols;
  symbols.reserve(word.size());
  if (!from_bytes_) {
    initial_characters(word, &symbols);
  } else if (!initial_bytes(word, &symbols)) {
    symbols.clear();
    initial_characters(map_bytes(word), &symbols);
  }
  merge_symbols(merges_, &symbols);
  ids->insert(ids->end(), symbols.begin(), symbols.end());
}

void WordCache::encode(const Bpe& bpe, std::string_view word, std::vector<int32_t>* ids) {
  if (const auto it = words_.find(word); it != words_.end()) {
    const auto begin = pool_.begin() + it->second.begin;
    ids->insert(ids->end(), begin, begin + it->second.size);
    return;
  }
  const size_t before = ids->size();
  bpe.encode(word, ids);
  if (word.size() > kCachedWordBytes || words_.size() >= kCachedWords) return;
  const Range range{static_cast<uint32_t>(pool_.size()), static_cast<uint32_t>(ids->size() - before)};
  pool_.insert(pool_.end(), ids->begin() + static_cast<ptrdiff_t>(before), ids->end());
  words_.emplace(word, range);
}

}  // namespace quamba2
