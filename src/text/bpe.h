// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding: joins the pair of neighbours with the lowest merge rank until none is left (Sennrich et al. 2016),
// with the options of Hugging Face's BPE model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace quamba2 {

class Json;

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
template <class Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

// (left id, right id) -> rank and result. Open addressing: a look-up is what BPE does most.
class MergeTable {
 public:
  struct Merge {
    int32_t rank, result;
  };
  void reserve(size_t merges);
  void set(int32_t left, int32_t right, Merge merge);  // a later merge of the same pair wins
  const Merge* find(int32_t left, int32_t right) const;

 private:
  struct Slot {
    uint64_t key;
    Merge merge;
  };
  static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t slot_of(uint64_t key) const;
  std::vector<Slot> slots_;
  size_t mask_ = 0;
};

class Bpe {
 public:
  // Ids are bounded by `id_limit`. With `from_bytes` words are raw bytes, to be mapped to the byte alphabet here.
  // Throws Error{kModelFile}.
  static Bpe from_json(const Json& model, bool from_bytes, int64_t id_limit, const std::string& where);

  // Appends the ids of one word; characters that the vocabulary lacks, and for which there is neither a byte fallback
  // nor an unknown token, vanish. O(n log n).
  void encode(std::string_view word, std::vector<int32_t>* ids) const;

  std::optional<int32_t> find(std::string_view token) const;
  // Empty for an id that no token has.
  std::string_view token(int32_t id) const;
  int64_t id_end() const { return static_cast<int64_t>(tokens_.size()); }  // highest id + 1
  bool has(int32_t id) const { return id >= 0 && id < id_end() && tokens_[static_cast<size_t>(id)] != nullptr; }

 private:
  void read_vocabulary(const Json& vocab, int64_t id_limit, const std::string& where);
  void read_merges(const Json& merges, const std::string& where);
  void read_byte_ids(const std::string& where);
  bool initial_bytes(std::string_view word, std::vector<int32_t>* symbols) const;
  void initial_characters(std::string_view word, std::vector<int32_t>* symbols) const;
  bool byte_fallback(std::string_view text, std::vector<int32_t>* symbols) const;

  StringMap<int32_t> vocab_;
  std::vector<const std::string*> tokens_;  // by id; keys of vocab_
  MergeTable merges_;
  int32_t byte_ids_[256];        // the token of a byte in the byte alphabet, or -1
  int32_t fallback_ids_[256];    // the token <0xAB>, or -1
  std::string prefix_, suffix_;  // continuing_subword_prefix, end_of_word_suffix
  int32_t unknown_ = -1;
  bool from_bytes_ = false, ignore_merges_ = false, byte_fallback_ = false, fuse_unknown_ = false;
};

// The ids of words met before, during one call. Bounded: what does not fit is computed again.
class WordCache {
 public:
  void encode(const Bpe& bpe, std::string_view word, std::vector<int32_t>* ids);

 private:
  struct Range {
    uint32_t begin, size;
  };
  StringMap<Range> words_;
  std::vector<int32_t> pool_;
};

}  // namespace quamba2
