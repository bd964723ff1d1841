// SPDX-License-Identifier: Apache-2.0
#include <sentencepiece_processor.h>

#include <fstream>

#include "base/file.h"
#include "quamba2/error.h"
#include "support/paths.h"
#include "text/random_text.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

using testing::shared_path;
using Ids = std::vector<int32_t>;

// Decoding is our own, because the library cannot do it piece by piece: it has to give what the library gives.
void check_decoding(const std::string& path) {
  const auto t = Tokenizer::load(path);
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.Load(path).ok());
  ASSERT_EQ(t->vocab_size(), library.GetPieceSize());
  Random random(11);
  const Ids special = {0, 1, 2, t->token_id("\xE2\x96\x81").value(), t->token_id("<0xE2>").value()};
  for (int i = 0; i < 20000; ++i) {
    Ids ids;
    for (int64_t n = random.below(12); n > 0; --n) {
      const int64_t kind = random.below(4);
      const int64_t id = kind == 0   ? special[static_cast<size_t>(random.below(5))]
                         : kind == 1 ? t->token_id("<0x80>").value() - 0x80 + random.below(256)
                                     : random.below(t->vocab_size());
      ids.push_back(static_cast<int32_t>(id));
    }
    std::string expected;
    ASSERT_TRUE(library.Decode(ids, &expected).ok());
    ASSERT_EQ(t->decode(ids), expected) << ::testing::PrintToString(ids);
    StreamDecoder stream(t);
    std::string all;
    for (int32_t id : ids) {
      const std::string piece = stream.push(id);
      ASSERT_EQ(utf8_valid_prefix(piece), piece.size());
      all += piece;
    }
    ASSERT_EQ(all + stream.flush(), expected);
  }
}

TEST(SentencePiece, DecodesAsTheLibrary) {
  QUAMBA2_NEEDS_SHARED("data/tokenizers/llama2-spm");
  check_decoding(shared_path("data/tokenizers/llama2-spm/tokenizer.model"));
}

TEST(SentencePiece, DecodesAsTheLibraryMistral) {
  QUAMBA2_NEEDS_SHARED("data/tokenizers/mistral-v3-spm");
  check_decoding(shared_path("data/tokenizers/mistral-v3-spm/tokenizer.model"));
}

TEST(SentencePiece, RoundTripsAndSpecialTokens) {
  QUAMBA2_NEEDS_SHARED("data/tokenizers/llama2-spm");
  const auto t = Tokenizer::load(shared_path("data/tokenizers/llama2-spm"));
  EXPECT_EQ(t->bos_id(), 1);
  EXPECT_EQ(t->eos_id(), 2);
  EXPECT_TRUE(t->is_special(1));
  Ids with_bos = t->encode("Hello world");
  with_bos.insert(with_bos.begin(), 1);
  EXPECT_EQ(t->encode("Hello world", true), with_bos);
  EXPECT_EQ(t->encode("<s>Hello world"), with_bos);
  EXPECT_NE(t->encode("<s>Hello world", false, false), with_bos);
  EXPECT_EQ(t->encode(""), Ids());
  EXPECT_EQ(t->decode(with_bos, true), "Hello world");
  Random random(12);
  for (int i = 0; i < 2000; ++i) {
    std::string text = testing::random_text(&random, 20);
    std::string kept;  // U+2581 stands for a space, and NUL ends the library's idea of a text: neither comes back
    for (size_t at = 0; at < text.size();) {
      const char32_t c = utf8_next(text, &at);
      if (c != 0x2581 && c != 0) utf8_append(c, &kept);
    }
    ASSERT_EQ(t->decode(t->encode(kept, false, false)), kept);
  }
}

TEST(SentencePiece, ConfigSwitchesBosAndEos) {
  QUAMBA2_NEEDS_SHARED("data/tokenizers/llama2-spm");
  const std::string folder = testing::temporary_directory();
  copy_file(shared_path("data/tokenizers/llama2-spm/tokenizer.model"), folder + "/tokenizer.model");
  std::ofstream(folder + "/tokenizer_config.json") << R"({"add_bos_token": false, "add_eos_token": true})";
  const auto t = Tokenizer::load(folder);
  Ids ids = t->encode("x");
  ids.push_back(2);
  EXPECT_EQ(t->encode("x", true), ids);
}

TEST(SentencePiece, DamagedModelsAreErrorsAndSilent) {
  QUAMBA2_NEEDS_SHARED("data/tokenizers/llama2-spm");
  const std::string good = read_file(shared_path("data/tokenizers/llama2-spm/tokenizer.model"));
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  int refused = 0;
  for (const size_t size : {0ul, 1ul, 10ul, 1000ul, 100000ul, good.size() - 1}) {
    try {
      Tokenizer::from_sentencepiece(std::string_view(good).substr(0, size), "cut.model");
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kModelFile);
      ++refused;
    }
  }
  EXPECT_THROW(Tokenizer::from_sentencepiece("not a model at all", "text.model"), Error);
  Random random(13);
  for (int i = 0; i < 10; ++i) {
    std::string bad = good;
    for (int k = 0; k < 20; ++k) bad[static_cast<size_t>(random.below(static_cast<int64_t>(bad.size())))] ^= 0x15;
    try {
      const auto t = Tokenizer::from_sentencepiece(bad, "bad.model");
      t->decode(t->encode("Hello \xC3\xA9"));
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 3);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
}

}  // namespace
}  // namespace quamba2
