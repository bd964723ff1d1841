// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer.h"

#include <charconv>

#include "base/file.h"
#include "base/json.h"
#include "quamba2/error.h"
#include "text/byte_level.h"
#include "text/json_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/text_decoder.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

constexpr uint64_t kMaxFileBytes = 256 << 20;

Json read_json(const std::string& path) {
  return path_exists(path) ? Json::parse(read_file(path, kMaxFileBytes), path) : Json();
}

// A token in a configuration is its text, or an object with its "content".
std::optional<int32_t> configured(const Tokenizer& tokenizer, const Json& config, const char* key) {
  const Json* value = config.find(key);
  if (value != nullptr && value->is_object()) value = value->find("content");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return tokenizer.token_id(value->as_string(key));
}

bool is_sentencepiece_file(const std::string& path) { return path.ends_with(".model"); }

}  // namespace

// What the files beside a tokenizer add to it.
struct TokenizerConfig {
  static void apply(const std::string& directory, bool sentencepiece, Tokenizer* tokenizer) {
    const Json map = read_json(join_path(directory, "special_tokens_map.json"));
    const Json config = read_json(join_path(directory, "tokenizer_config.json"));
    for (const Json* source : {&map, &config}) {
      if (const auto id = configured(*tokenizer, *source, "bos_token")) tokenizer->bos_ = id;
      if (const auto id = configured(*tokenizer, *source, "eos_token")) tokenizer->eos_ = id;
    }
    if (!sentencepiece) return;  // a tokenizer.json has its own template
    tokenizer->before_.clear();
    tokenizer->after_.clear();
    if (tokenizer->bos_ && config.get("add_bos_token", true)) tokenizer->before_.push_back(*tokenizer->bos_);
    if (tokenizer->eos_ && config.get("add_eos_token", false)) tokenizer->after_.push_back(*tokenizer->eos_);
  }
};

std::shared_ptr<const Tokenizer> Tokenizer::from_json(std::string_view text, const std::string& where) {
  return std::make_shared<JsonTokenizer>(Json::parse(text, where), where);
}

std::shared_ptr<const Tokenizer> Tokenizer::from_sentencepiece(std::string_view model, const std::string& where) {
  return std::make_shared<SentencePieceTokenizer>(model, where);
}

std::shared_ptr<const Tokenizer> Tokenizer::load(const std::string& path) {
  std::string file = path;
  if (is_directory(path)) {
    file = join_path(path, "tokenizer.json");
    if (!path_exists(file)) file = join_path(path, "tokenizer.model");
    if (!path_exists(file)) {
      throw Error(ErrorCode::kModelFile, "no tokenizer", path, "there is neither tokenizer.json nor tokenizer.model",
                  "name one with --tokenizer DIR; checkpoints of state-spaces use EleutherAI/gpt-neox-20b's");
    }
  }
  const std::string bytes = read_file(file, kMaxFileBytes);
  const bool sentencepiece = is_sentencepiece_file(file);
  std::shared_ptr<Tokenizer> tokenizer;
  if (sentencepiece) {
    tokenizer = std::make_shared<SentencePieceTokenizer>(bytes, file);
  } else {
    tokenizer = std::make_shared<JsonTokenizer>(Json::parse(bytes, file), file);
  }
  TokenizerConfig::apply(parent_path(file), sentencepiece, tokenizer.get());
  return tokenizer;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens, bool parse_special) const {
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = before_;
  if (utf8_valid_prefix(text) == text.size()) {
    encode_text(text, parse_special, &ids);
  } else {
    encode_text(utf8_sanitize(text), parse_special, &ids);
  }
  if (add_special_tokens) ids.insert(ids.end(), after_.begin(), after_.end());
  return ids;
}

std::string Tokenizer::decode(const std::vector<int32_t>& ids, bool skip_special) const {
  const std::unique_ptr<TextDecoder> decoder = new_decoder(skip_special);
  std::string text;
  for (int32_t id : ids) decoder->push(id, &text);
  decoder->finish(&text);
  return text;
}

namespace {

// The byte that a token such as <0x0A> stands for, or -1.
int fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  return error == std::errc() && end == token.data() + 5 ? byte : -1;
}

}  // namespace

std::string Tokenizer::token_bytes(int32_t id) const {
  const std::string token = token_text(id);
  if (token.empty() || is_special(id)) return token;
  // Behind a letter, so that what decoders do at the start of a text is not seen.
  std::string text;
  const std::unique_ptr<TextDecoder> decoder = new_decoder(false);
  const auto letter = token_id("a");
  if (letter) decoder->push(*letter, &text);
  const size_t before = text.size();
  decoder->push(id, &text);
  decoder->finish(&text);
  text.erase(0, before);
  if (text.find(kReplacementCharacter) == std::string::npos) return text;
  // A part of a character. A vocabulary writes it as a byte, or in GPT-2's alphabet.
  const int byte = fallback_byte(token);
  return byte >= 0 ? std::string(1, static_cast<char>(byte)) : unmap_bytes(token);
}

}  // namespace quamba2
