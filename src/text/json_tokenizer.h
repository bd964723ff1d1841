// SPDX-License-Identifier: Apache-2.0
// The pipeline of a tokenizer.json: added tokens, normalizer, pre-tokenizer, BPE, post-processor; and the way back.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/decode_chain.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace quamba2 {

class JsonTokenizer : public Tokenizer {
 public:
  // Throws Error{kModelFile}.
  JsonTokenizer(const Json& spec, const std::string& where);

  std::unique_ptr<TextDecoder> new_decoder(bool skip_special) const override;
  int64_t vocab_size() const override { return vocab_size_; }
  std::optional<int32_t> token_id(std::string_view token) const override;
  std::string token_text(int32_t id) const override;
  bool is_special(int32_t id) const override { return added_.is_special(id); }

  bool has(int32_t id) const { return added_.by_id(id) != nullptr || bpe_.has(id); }
  std::string_view decoded(int32_t id) const;  // what the decoder is given
  const DecodeChain& decode_chain() const { return decode_chain_; }

 protected:
  void encode_text(std::string_view text, bool parse_special, std::vector<int32_t>* ids) const override;

 private:
  void guess_special_ids();
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  Bpe bpe_;
  AddedTokens added_;
  DecodeChain decode_chain_;
  int64_t vocab_size_ = 0;
};

}  // namespace quamba2
