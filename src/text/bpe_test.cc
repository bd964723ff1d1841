// SPDX-License-Identifier: Apache-2.0
#include "text/bpe.h"

#include "base/json.h"
#include "base/random.h"
#include "text/bpe_merge.h"
#include "text/byte_level.h"

namespace quamba2 {
namespace {

using Ids = std::vector<int32_t>;

TEST(MergeSymbols, ScanAndHeapAgree) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    MergeTable merges;
    const int64_t count = 1 + random.below(60);
    merges.reserve(static_cast<size_t>(count));
    const int64_t letters = 1 + random.below(4);
    for (int32_t rank = 0; rank < count; ++rank) {
      const int64_t known = letters + rank;
      merges.set(static_cast<int32_t>(random.below(known)), static_cast<int32_t>(random.below(known)),
                 {rank, static_cast<int32_t>(known)});
    }
    for (int i = 0; i < 20; ++i) {
      Ids scan;
      for (int64_t n = random.below(150); n > 0; --n) scan.push_back(static_cast<int32_t>(random.below(letters)));
      Ids heap = scan;
      merge_symbols_by_scan(merges, &scan);
      merge_symbols_by_heap(merges, &heap);
      ASSERT_EQ(scan, heap);
    }
  }
}

Bpe small(const char* extra) {
  const std::string text = std::string(R"({"vocab":{"a":0,"b":1,"ab":2,"abb":3,"<unk>":4,"<0xC3>":5,"<0xA9>":6},)") +
                           R"("merges":["a b",["ab","b"]])" + extra + "}";
  return Bpe::from_json(Json::parse(text, "test"), false, 100, "test");
}

Ids encode(const Bpe& bpe, std::string_view word) {
  Ids ids;
  bpe.encode(word, &ids);
  return ids;
}

TEST(Bpe, MergesByRank) {
  const Bpe bpe = small("");
  EXPECT_EQ(encode(bpe, "abb"), Ids({3}));
  EXPECT_EQ(encode(bpe, "aabab"), Ids({0, 2, 2}));
  EXPECT_EQ(encode(bpe, "axb"), Ids({2})) << "unknown without a token for it vanishes, before merging";
  EXPECT_EQ(bpe.id_end(), 7);
  EXPECT_EQ(bpe.token(7), "");
  EXPECT_EQ(bpe.token(-1), "");
}

TEST(Bpe, UnknownAndByteFallback) {
  EXPECT_EQ(encode(small(R"(,"unk_token":"<unk>")"), "axyb"), Ids({0, 4, 4, 1}));
  EXPECT_EQ(encode(small(R"(,"unk_token":"<unk>","fuse_unk":true)"), "axyb"), Ids({0, 4, 1}));
  EXPECT_EQ(encode(small(R"(,"unk_token":"<unk>","byte_fallback":true)"), "a\xC3\xA9y"), Ids({0, 5, 6, 4}));
}

TEST(Bpe, IgnoreMergesTakesWholeWords) {
  const char* text = R"({"vocab":{"a":0,"b":1,"ba":2},"merges":[],"ignore_merges":true})";
  const Bpe bpe = Bpe::from_json(Json::parse(text, "test"), false, 100, "test");
  EXPECT_EQ(encode(bpe, "ba"), Ids({2}));
  EXPECT_EQ(encode(bpe, "bab"), Ids({1, 0, 1}));
}

TEST(Bpe, PrefixAndSuffixOfWords) {
  const char* text = R"({"vocab":{"a":0,"##b</w>":1,"ab</w>":2,"##b":3},"merges":["a ##b</w>"],
                         "continuing_subword_prefix":"##","end_of_word_suffix":"</w>"})";
  const Bpe bpe = Bpe::from_json(Json::parse(text, "test"), false, 100, "test");
  EXPECT_EQ(encode(bpe, "ab"), Ids({2}));
  EXPECT_EQ(encode(bpe, "abb"), Ids({0, 3, 1}));
}

TEST(ByteLevel, MapsAndUnmapsEveryByte) {
  std::string all;
  for (int b = 0; b < 256; ++b) all.push_back(static_cast<char>(b));
  EXPECT_EQ(unmap_bytes(map_bytes(all)), all);
  EXPECT_EQ(map_bytes(" \n"), "\xC4\xA0\xC4\x8A");
  EXPECT_EQ(unmap_bytes("a b"), "a b") << "the space is not in the alphabet: bytes as they are";
}

}  // namespace
}  // namespace quamba2
