// SPDX-License-Identifier: Apache-2.0
#include "eval/encode_pair.h"

#include <gtest/gtest.h>

#include "quamba2/error.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

using Ids = std::vector<int32_t>;
constexpr int32_t kPrefix = 0;

const Tokenizer& tokenizer() {
  static const auto loaded = Tokenizer::load(testing::source_path("models/demo"));
  return *loaded;
}

Ids joined(const EncodedPair& p) {
  Ids out = p.shared;
  out.insert(out.end(), p.context.begin(), p.context.end());
  out.insert(out.end(), p.continuation.begin(), p.continuation.end());
  return out;
}

TEST(EncodePair, IsSplitBehindTheTokensOfTheContext) {
  PairEncoder encoder(tokenizer(), kPrefix, 2048);
  const EncodedPair p = encoder.encode("", "It was a dark", " night");
  EXPECT_EQ(p.context, tokenizer().encode("It was a dark"));
  EXPECT_EQ(joined(p), tokenizer().encode("It was a dark night"));
  EXPECT_TRUE(p.shared.empty());
}

TEST(EncodePair, SpaceAtTheEndOfTheContextBelongsToTheContinuation) {
  PairEncoder encoder(tokenizer(), kPrefix, 2048);
  for (const std::string space : {" ", "\n", " \t\n", "\xC2\xA0", "\xE3\x80\x80"}) {  // also U+00A0 and U+3000
    const EncodedPair p = encoder.encode("", "The old man" + space, "sat");
    EXPECT_EQ(p.context, tokenizer().encode("The old man"));
    EXPECT_EQ(joined(p), tokenizer().encode("The old man" + space + "sat"));
  }
}

TEST(EncodePair, AnEmptyContextIsThePrefixToken) {
  PairEncoder encoder(tokenizer(), kPrefix, 2048);
  for (const std::string context : {"", "  "}) {
    const EncodedPair p = encoder.encode("", context, "night");
    EXPECT_EQ(p.context, Ids{kPrefix});
    EXPECT_EQ(p.continuation, tokenizer().encode(context + "night"));
  }
  // A continuation that begins with that token has it as its context.
  const int32_t first = tokenizer().encode("night and day")[0];
  const EncodedPair p = PairEncoder(tokenizer(), first, 2048).encode("", "", "night and day");
  EXPECT_EQ(joined(p), tokenizer().encode("night and day"));
}

TEST(EncodePair, LongContextsLoseTheirBeginning) {
  std::string context;
  for (int i = 0; i < 40; ++i) context += "word " + std::to_string(i) + " ";
  const Ids whole = tokenizer().encode(context + "end");
  PairEncoder encoder(tokenizer(), kPrefix, 20);
  const EncodedPair p = encoder.encode(context, "", "end");
  EXPECT_TRUE(p.shared.empty());
  EXPECT_EQ(joined(p), Ids(whole.end() - 21, whole.end()));  // the last token is not read: 20 are
  EXPECT_THROW(encoder.encode("", "a", " " + context), Error);
}

TEST(EncodePair, TheSharedPartIsOfWholeTokens) {
  std::string shared;
  for (int i = 0; i < 10; ++i) shared += "Question " + std::to_string(i) + "\nAnswer: A\n\n";
  PairEncoder encoder(tokenizer(), kPrefix, 2048);
  const EncodedPair a = encoder.encode(shared, "Who?\nAnswer:", " B"),
                    b = encoder.encode(shared, "Why?\nAnswer:", " B");
  EXPECT_EQ(joined(a), tokenizer().encode(shared + "Who?\nAnswer: B"));
  EXPECT_GT(a.shared.size(), 40u);
  EXPECT_EQ(a.shared, b.shared);
  EXPECT_TRUE(encoder.encode("Too short.", " Who", "?").shared.empty());
}

}  // namespace
}  // namespace quamba2
