// SPDX-License-Identifier: Apache-2.0
// From texts to the tokens that are scored, as lm-evaluation-harness cuts them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quamba2/tokenizer.h"

namespace quamba2 {

struct EncodedPair {
  std::vector<int32_t> shared, context, continuation;  // `shared` may be empty
};

// The rules (lm-eval 0.4.13, TemplateLM._encode_pair and HFLM._loglikelihood_tokens):
//   - white space that ends the context belongs to the continuation;
//   - context + continuation is encoded as one text; what exceeds the tokens of the context alone is the continuation;
//   - special tokens are put around texts as the tokenizer asks;
//   - behind an empty context the continuation follows `prefix_id` (BOS, else EOS);
//   - of a sequence of more than max_length + 1 tokens the beginning is dropped (the last token is not read).
class PairEncoder {
 public:
  PairEncoder(const Tokenizer& tokenizer, int32_t prefix_id, int64_t max_length)
      : tokenizer_(tokenizer), prefix_id_(prefix_id), max_length_(max_length) {}

  // The context is `shared` + `context`; `shared` is a beginning that many requests have, of which only whole tokens come
  // back as such. Throws Error{kUsage} for a continuation without tokens or of more than max_length.
  EncodedPair encode(const std::string& shared, const std::string& context, const std::string& continuation);

 private:
  // Contexts come again: once a choice, or before every question of a subject.
  struct Remembered {
    std::string text;
    std::vector<int32_t> ids;
    bool set = false;
  };
  const std::vector<int32_t>& encode_once(const std::string& text, Remembered* memory) const;
  void split_shared(const std::string& shared, EncodedPair* pair);
  void begin_with_prefix(EncodedPair* pair) const;
  void truncate(EncodedPair* pair) const;

  const Tokenizer& tokenizer_;
  int32_t prefix_id_;
  int64_t max_length_;
  Remembered last_context_, last_shared_;
};

}  // namespace quamba2
