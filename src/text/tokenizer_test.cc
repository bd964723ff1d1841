// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer.h"

#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "quamba2/error.h"
#include "support/paths.h"
#include "text/random_text.h"
#include "text/stream_decoder.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

using testing::source_path;
using Ids = std::vector<int32_t>;

std::shared_ptr<const Tokenizer> style(const std::string& name) {
  return Tokenizer::load(source_path("tests/data/tokenizers/" + name));
}

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(Tokenizer, DirectoryWithoutOneSaysWhatToDo) {
  try {
    Tokenizer::load(testing::temporary_directory());
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kModelFile);
    EXPECT_NE(e.hint().find("--tokenizer DIR"), std::string::npos);
    EXPECT_NE(e.hint().find("gpt-neox-20b"), std::string::npos);
  }
  EXPECT_THROW(Tokenizer::load("/nowhere/at/all"), Error);
}

TEST(Tokenizer, SpecialIdsFromTheFilesBesideIt) {
  const std::string folder = testing::temporary_directory();
  copy_file(source_path("tests/data/tokenizers/llama3/tokenizer.json"), folder + "/tokenizer.json");
  const auto bare = Tokenizer::load(folder);
  EXPECT_EQ(bare->bos_id(), bare->token_id("<s>"));
  EXPECT_EQ(bare->eos_id(), std::nullopt);
  write(folder + "/special_tokens_map.json", R"({"eos_token": {"content": "[SEP]", "lstrip": false}})");
  EXPECT_EQ(Tokenizer::load(folder)->eos_id(), bare->token_id("[SEP]"));
  write(folder + "/tokenizer_config.json", R"({"eos_token": "<|end|>", "bos_token": null, "chat_template": "x"})");
  const auto both = Tokenizer::load(folder + "/tokenizer.json");
  EXPECT_EQ(both->eos_id(), bare->token_id("<|end|>"));
  EXPECT_EQ(both->bos_id(), bare->token_id("<s>"));
  write(folder + "/tokenizer_config.json", R"({"eos_token": "nobody knows this one"})");
  EXPECT_EQ(Tokenizer::load(folder)->eos_id(), bare->token_id("[SEP]"));
}

TEST(Tokenizer, TokensByText) {
  const auto t = style("gpt2");
  const int32_t id = t->token_id("<|end|>").value();
  EXPECT_EQ(t->token_text(id), "<|end|>");
  EXPECT_TRUE(t->is_special(id));
  EXPECT_FALSE(t->is_special(id + 1));
  EXPECT_EQ(t->token_id("no such token"), std::nullopt);
  EXPECT_EQ(t->token_text(-1), "");
  EXPECT_EQ(t->token_text(1 << 30), "");
  EXPECT_EQ(t->encode("<|end|>", false, true), Ids({id}));
  EXPECT_GT(t->encode("<|end|>", false, false).size(), 1u);
  EXPECT_EQ(t->decode({id}, true), "");
}

// Byte-level vocabularies without a normalizer hold every byte: nothing is lost.
TEST(Tokenizer, ByteLevelRoundTrips) {
  for (const char* name : {"gpt2", "llama3", "falcon"}) {
    const auto t = style(name);
    Random random(7);
    for (int i = 0; i < 2000; ++i) {
      const std::string text = testing::random_text(&random, 30);
      ASSERT_EQ(t->decode(t->encode(text, false, false)), text) << name;
      const std::string bytes = testing::random_bytes(&random, 30);
      ASSERT_EQ(t->decode(t->encode(bytes)), utf8_sanitize(bytes)) << name;
    }
  }
}

// The bytes of tokens, put together, are the text: also where a token is part of a character.
TEST(Tokenizer, TokenBytesAddUpToTheText) {
  for (const char* name : {"gpt2", "llama3", "falcon"}) {
    const auto t = style(name);
    Random random(9);
    for (int i = 0; i < 300; ++i) {
      const std::string text = testing::random_text(&random, 30);
      std::string all;
      for (const int32_t id : t->encode(text, false, false)) all += t->token_bytes(id);
      ASSERT_EQ(all, text) << name;
    }
  }
  const auto t = style("gpt2");
  EXPECT_EQ(t->token_bytes(t->encode("\xF0\x9F\x91\xA8")[1]), "\x9F");
  EXPECT_EQ(t->token_bytes(-1), "");
  const auto llama = style("llama2");
  const auto id = llama->token_id("<0x9F>");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(llama->token_bytes(*id), "\x9F");
}

// Pieces are whole characters, and together they are the decoded whole.
TEST(StreamDecoder, PiecesAddUp) {
  for (const char* name : {"gpt2", "neox", "prefix", "llama3", "falcon", "splits", "llama2", "metaspace"}) {
    const auto t = style(name);
    Random random(8);
    for (const bool skip : {false, true}) {
      StreamDecoder decoder(t, skip);
      for (int i = 0; i < 1000; ++i) {
        Ids ids;
        for (int64_t n = random.below(20); n > 0; --n) {
          ids.push_back(static_cast<int32_t>(random.below(t->vocab_size() + 4)) - 2);
        }
        std::string all;
        for (int32_t id : ids) {
          const std::string piece = decoder.push(id);
          ASSERT_EQ(utf8_valid_prefix(piece), piece.size()) << name;
          all += piece;
        }
        ASSERT_EQ(all + decoder.flush(), t->decode(ids, skip)) << name;
      }
    }
  }
}

TEST(StreamDecoder, HoldsUnfinishedCharacters) {
  const auto t = style("gpt2");
  const Ids ids = t->encode("\xF0\x9F\x91\xA8");  // no merges for it in this vocabulary: four bytes
  ASSERT_EQ(ids.size(), 4u);
  StreamDecoder decoder(t);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(decoder.push(ids[i]), "");
  EXPECT_EQ(decoder.push(ids[3]), "\xF0\x9F\x91\xA8");
  EXPECT_EQ(decoder.flush(), "");
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_EQ(decoder.flush(), kReplacementCharacter);
}

// What takes seconds here took for ever with a quadratic algorithm.
TEST(Tokenizer, HostileLongWords) {
  for (const char* name : {"gpt2", "neox", "prefix", "llama3", "falcon", "splits", "llama2", "metaspace"}) {
    const auto t = style(name);
    for (const char* unit : {"a", " ", "\n", "'", "ab", "1", "\xCC\x81", "\xE3\x80\x80", "<s", "[SEP] ", "e "}) {
      std::string text;
      while (text.size() < 200000) text += unit;
      const Ids ids = t->encode(text);
      EXPECT_LE(ids.size(), 3 * text.size() + 3) << name << " " << unit;
      t->decode(ids);
    }
  }
}

TEST(Tokenizer, ManyThreadsAtOnce) {
  const auto t = style("llama3");
  const std::string text = "We've 1234 reasons.\n\n  It's \xC3\xA9t\xC3\xA9 <s>";
  const Ids expected = t->encode(text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t i = 0; i < wrong.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 200; ++k) wrong[i] += t->encode(text) != expected || t->decode(expected).empty();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace quamba2
