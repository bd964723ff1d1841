// SPDX-License-Identifier: Apache-2.0
// SentencePiece models (tokenizer.model), through libsentencepiece.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/tokenizer.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace quamba2 {

class SentencePieceTokenizer : public Tokenizer {
 public:
  enum class Kind : uint8_t { kText, kControl, kUnknown, kByte };
  struct Piece {
    std::string text;
    Kind kind;
  };
  // What Decode does with the spaces at the start of a text; the library does not tell, so it is tried out.
  struct LeadingSpace {
    bool drop_one = false, drop_all = false;
  };

  // Throws Error{kModelFile}.
  SentencePieceTokenizer(std::string_view model, const std::string& where);
  ~SentencePieceTokenizer() override;

  std::unique_ptr<TextDecoder> new_decoder(bool skip_special) const override;
  int64_t vocab_size() const override { return static_cast<int64_t>(pieces_.size()); }
  std::optional<int32_t> token_id(std::string_view token) const override;
  std::string token_text(int32_t id) const override;
  bool is_special(int32_t id) const override;

  const Piece* piece(int32_t id) const;
  const std::string& unknown_surface() const { return unknown_surface_; }
  LeadingSpace leading_space() const { return leading_space_; }

 protected:
  // Control pieces written out in the text ("<s>", "[INST]") become their ids if `parse_special`; the stretches
  // between them are encoded one by one.
  void encode_text(std::string_view text, bool parse_special, std::vector<int32_t>* ids) const override;

 private:
  void read_pieces(const std::string& where);
  void probe_decoding();
  std::string decode_by_library(const std::vector<int>& ids) const;

  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  std::vector<Piece> pieces_;
  StringMap<int32_t> by_text_;
  TokenTrie controls_;
  std::string unknown_surface_;
  LeadingSpace leading_space_;
};

}  // namespace quamba2
