// SPDX-License-Identifier: Apache-2.0
#include "text/json_tokenizer.h"

#include <algorithm>

#include "text/json_fields.h"
#include "text/post_processor.h"
#include "text/text_decoder.h"

namespace quamba2 {
namespace {

// Ids may leave gaps, but not so many that a small file makes a large table.
constexpr int64_t kIdSlack = 1 << 16;

int64_t id_limit_of(const Json& spec, const std::string& where) {
  int64_t tokens = 0;
  if (const Json* vocab = require(spec, "model", where).find("vocab"); vocab != nullptr && vocab->is_object()) {
    tokens += static_cast<int64_t>(vocab->as_object(where).size());
  }
  if (const Json* added = spec.find("added_tokens"))
    tokens += static_cast<int64_t>(added->as_array(where + ": added_tokens").size());
  return 2 * tokens + kIdSlack;
}

class ChainDecoder : public TextDecoder {
 public:
  ChainDecoder(const JsonTokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special), stream_(tokenizer.decode_chain()) {}

  void push(int32_t id, std::string* out) override {
    if (!tokenizer_.has(id) || (skip_special_ && tokenizer_.is_special(id))) return;
    stream_.push(tokenizer_.decoded(id), out);
  }
  void finish(std::string* out) override { stream_.finish(out); }

 private:
  const JsonTokenizer& tokenizer_;
  bool skip_special_;
  DecodeChain::Stream stream_;
};

}  // namespace

JsonTokenizer::JsonTokenizer(const Json& spec, const std::string& where) {
  spec.as_object(where);
  const int64_t id_limit = id_limit_of(spec, where);
  normalizer_ = Normalizer::from_json(spec.find("normalizer"), where + ": normalizer");
  pre_tokenizer_ = PreTokenizer::from_json(spec.find("pre_tokenizer"), where + ": pre_tokenizer");
  bpe_ = Bpe::from_json(require(spec, "model", where), pre_tokenizer_.leaves_bytes(), id_limit, where + ": model");
  added_ = AddedTokens::from_json(spec.find("added_tokens"), bpe_, normalizer_, id_limit, where + ": added_tokens");
  decode_chain_ = DecodeChain::from_json(spec.find("decoder"), where + ": decoder");
  PostProcessor around = PostProcessor::from_json(spec.find("post_processor"), id_limit, where + ": post_processor");
  before_ = std::move(around.before);
  after_ = std::move(around.after);
  vocab_size_ = bpe_.id_end();
  for (const AddedToken& t : added_.tokens()) vocab_size_ = std::max<int64_t>(vocab_size_, t.id + 1);
  guess_special_ids();
}

void JsonTokenizer::guess_special_ids() {
  const auto first = [this](std::initializer_list<const char*> names) -> std::optional<int32_t> {
    for (const char* name : names) {
      if (const auto id = added_.find(name); id && added_.is_special(*id)) return id;
    }
    return std::nullopt;
  };
  bos_ = first({"<|begin_of_text|>", "<s>"});
  eos_ = first({"<|end_of_text|>", "</s>", "<|endoftext|>"});
}

std::optional<int32_t> JsonTokenizer::token_id(std::string_view token) const {
  if (const auto id = added_.find(token)) return id;
  return bpe_.find(token);
}

std::string JsonTokenizer::token_text(int32_t id) const {
  if (const AddedToken* t = added_.by_id(id)) return t->content;
  return std::string(bpe_.token(id));
}

std::string_view JsonTokenizer::decoded(int32_t id) const {
  if (const AddedToken* t = added_.by_id(id)) return t->decoded;
  return bpe_.token(id);
}

void JsonTokenizer::encode_text(std::string_view text, bool parse_special, std::vector<int32_t>* ids) const {
  WordCache cache;
  bool at_start = true;
  const PieceSink word = [&](std::string_view piece, bool) { cache.encode(bpe_, piece, ids); };
  const AddedTokens::Sink piece = [&](std::string_view part, int32_t id) {
    if (id >= 0) {
      ids->push_back(id);
    } else {
      pre_tokenizer_.split(part, at_start, word);
    }
    at_start = false;
  };
  added_.split(text, false, parse_special, [&](std::string_view segment, int32_t id) {
    if (id >= 0) {
      piece(segment, id);
    } else if (normalizer_.empty()) {
      added_.split(segment, true, parse_special, piece);
    } else {
      added_.split(normalizer_.apply(segment), true, parse_special, piece);
    }
  });
}

std::unique_ptr<TextDecoder> JsonTokenizer::new_decoder(bool skip_special) const {
  return std::make_unique<ChainDecoder>(*this, skip_special);
}

}  // namespace quamba2
