// SPDX-License-Identifier: Apache-2.0
#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <exception>

#include "quamba2/error.h"
#include "text/pattern.h"
#include "text/text_decoder.h"
#include "text/utf8.h"

namespace sentencepiece::logging {
void SetMinLogLevel(int level);  // exported by the library, but in none of its installed headers
}

namespace quamba2 {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581
constexpr int kSilent = 100;                             // above every log level of the library

// The rules of SentencePieceProcessor::Decode, one piece at a time. Runs of byte pieces spell UTF-8; each byte that
// does not becomes one U+FFFD.
class PieceDecoder : public TextDecoder {
 public:
  PieceDecoder(const SentencePieceTokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  void push(int32_t id, std::string* out) override {
    const SentencePieceTokenizer::Piece* piece = tokenizer_.piece(id);
    if (piece == nullptr || (skip_special_ && tokenizer_.is_special(id))) return;
    if (piece->kind == SentencePieceTokenizer::Kind::kByte) {
      bytes_.push_back(static_cast<char>(std::stoi(piece->text.substr(3, 2), nullptr, 16)));
      spell(false, out);
      return;
    }
    spell(true, out);
    if (began_) at_start_ = false;
    if (space_dropped_) at_start_ = false;
    space_dropped_ = false;
    emit(surface(*piece), out);
  }

  void finish(std::string* out) override { spell(true, out); }

 private:
  std::string surface(const SentencePieceTokenizer::Piece& piece) {
    if (piece.kind == SentencePieceTokenizer::Kind::kControl) return {};
    if (piece.kind == SentencePieceTokenizer::Kind::kUnknown) return tokenizer_.unknown_surface();
    std::string_view text = piece.text;
    const auto rule = tokenizer_.leading_space();
    if (at_start_ && rule.drop_one && text.starts_with(kSpaceMark)) {
      text.remove_prefix(kSpaceMark.size());
      space_dropped_ = !rule.drop_all;
    }
    return mark_.replace_all(text, " ");
  }

  void emit(std::string_view text, std::string* out) {
    out->append(text);
    began_ = began_ || !text.empty();
  }

  // Emits the bytes that are certain; `all` at the end of a run.
  void spell(bool all, std::string* out) {
    size_t at = 0;
    while (at < bytes_.size()) {
      const std::string_view rest = std::string_view(bytes_).substr(at);
      if (const size_t good = utf8_valid_prefix(rest); good > 0) {
        emit(rest.substr(0, good), out);
        at += good;
      } else if (!all && utf8_incomplete_tail(rest) == rest.size()) {
        break;
      } else {
        emit(kReplacementCharacter, out);
        ++at;
      }
    }
    bytes_.erase(0, at);
  }

  const SentencePieceTokenizer& tokenizer_;
  bool skip_special_;
  std::string bytes_;
  bool at_start_ = true, began_ = false, space_dropped_ = false;
  Pattern mark_ = Pattern::literal(std::string(kSpaceMark));
};

// Empty when it worked. The library reports most faults by status, and some by exceptions of the code that it uses.
std::string load_failure(std::string_view model, sentencepiece::SentencePieceProcessor* processor) {
  try {
    const auto status = processor->LoadFromSerializedProto(model);
    return status.ok() ? std::string() : std::string(status.error_message()) + " (SentencePiece)";
  } catch (const std::exception& e) {
    return std::string(e.what()) + " (SentencePiece)";
  }
}

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(std::string_view model, const std::string& where) {
  sentencepiece::logging::SetMinLogLevel(kSilent);
  processor_ = std::make_unique<sentencepiece::SentencePieceProcessor>();
  if (const std::string why = load_failure(model, processor_.get()); !why.empty()) {
    throw Error(ErrorCode::kModelFile, "invalid SentencePiece model", where, why, "check that the file is complete");
  }
  read_pieces(where);
  probe_decoding();
  const auto optional = [](int id) { return id >= 0 ? std::optional<int32_t>(id) : std::nullopt; };
  bos_ = optional(processor_->bos_id());
  eos_ = optional(processor_->eos_id());
  if (bos_) before_.push_back(*bos_);
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

void SentencePieceTokenizer::read_pieces(const std::string& where) {
  const int size = processor_->GetPieceSize();
  if (size == 0) throw Error(ErrorCode::kModelFile, "invalid SentencePiece model", where, "it has no pieces");
  for (int id = 0; id < size; ++id) {
    Piece piece{utf8_sanitize(processor_->IdToPiece(id)), Kind::kText};
    if (processor_->IsControl(id)) {
      piece.kind = Kind::kControl;
      controls_.add(piece.text, id);
    } else if (processor_->IsUnknown(id)) {
      piece.kind = Kind::kUnknown;
    } else if (processor_->IsByte(id) && piece.text.size() == 6) {
      piece.kind = Kind::kByte;
    }
    by_text_.emplace(piece.text, id);
    pieces_.push_back(std::move(piece));
  }
}

std::string SentencePieceTokenizer::decode_by_library(const std::vector<int>& ids) const {
  std::string text;
  return processor_->Decode(ids, &text).ok() ? text : std::string();
}

void SentencePieceTokenizer::probe_decoding() {
  unknown_surface_ = utf8_sanitize(decode_by_library({processor_->unk_id()}));
  for (int id = 0; id < static_cast<int>(pieces_.size()); ++id) {
    const Piece& p = pieces_[static_cast<size_t>(id)];
    if (p.kind != Kind::kText || !p.text.starts_with(kSpaceMark)) continue;
    leading_space_.drop_one = !decode_by_library({id}).starts_with(' ') || p.text.size() == 2 * kSpaceMark.size();
    if (p.text.size() > kSpaceMark.size()) break;
  }
  if (const auto mark = token_id(kSpaceMark)) {
    leading_space_.drop_all = leading_space_.drop_one && decode_by_library({*mark, *mark}).empty();
  }
}

std::unique_ptr<TextDecoder> SentencePieceTokenizer::new_decoder(bool skip_special) const {
  return std::make_unique<PieceDecoder>(*this, skip_special);
}

std::optional<int32_t> SentencePieceTokenizer::token_id(std::string_view token) const {
  const auto it = by_text_.find(token);
  if (it == by_text_.end()) return std::nullopt;
  return it->second;
}

const SentencePieceTokenizer::Piece* SentencePieceTokenizer::piece(int32_t id) const {
  return id >= 0 && id < vocab_size() ? &pieces_[static_cast<size_t>(id)] : nullptr;
}

std::string SentencePieceTokenizer::token_text(int32_t id) const {
  const Piece* p = piece(id);
  return p ? p->text : std::string();
}

bool SentencePieceTokenizer::is_special(int32_t id) const {
  const Piece* p = piece(id);
  return p != nullptr && (p->kind == Kind::kControl || p->kind == Kind::kUnknown);
}

void SentencePieceTokenizer::encode_text(std::string_view text, bool parse_special, std::vector<int32_t>* ids) const {
  const auto plain = [&](std::string_view part) {
    if (part.empty()) return;
    std::vector<int> found;
    const auto status = processor_->Encode(part, &found);
    if (!status.ok()) throw Error(ErrorCode::kRuntime, "cannot encode the text", "", status.error_message());
    ids->insert(ids->end(), found.begin(), found.end());
  };
  size_t done = 0;
  for (size_t at = 0; parse_special && at < text.size();) {
    const TokenTrie::Found found =
        controls_.may_start(text[at]) ? controls_.longest(text.substr(at)) : TokenTrie::Found{0, -1};
    if (found.length == 0) {
      ++at;
      continue;
    }
    plain(text.substr(done, at - done));
    ids->push_back(found.value);
    done = at += found.length;
  }
  plain(text.substr(done));
}

}  // namespace quamba2
