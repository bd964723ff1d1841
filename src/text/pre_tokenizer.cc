// SPDX-License-Identifier: Apache-2.0
#include "text/pre_tokenizer.h"

#include "text/byte_level.h"
#include "text/gpt2_scanner.h"
#include "text/json_fields.h"
#include "text/split_stage.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

constexpr const char* kKnown =
    "ByteLevel, Split, Digits, Punctuation, Metaspace, Whitespace, WhitespaceSplit, CharDelimiterSplit, Sequence";

class ByteLevelStage : public PreTokenizerStage {
 public:
  ByteLevelStage(bool add_prefix_space, bool use_regex, bool map)
      : add_prefix_space_(add_prefix_space), map_(map), words_(nullptr) {
    if (use_regex)
      words_ =
          make_pattern_split(Pattern::regex(std::string(kGpt2Pattern), "ByteLevel"), SplitBehavior::kIsolated, false);
  }

  void split(std::string_view text, bool at_start, const PieceSink& sink) const override {
    if (add_prefix_space_ && text.front() != ' ') {
      cut(" " + std::string(text), at_start, sink);
    } else {
      cut(text, at_start, sink);
    }
  }

 private:
  void cut(std::string_view text, bool at_start, const PieceSink& sink) const {
    const PieceSink mapped = [&sink](std::string_view piece, bool first) { sink(map_bytes(piece), first); };
    const PieceSink& next = map_ ? mapped : sink;
    if (words_) {
      words_->split(text, at_start, next);
    } else {
      next(text, at_start);
    }
  }

  bool add_prefix_space_, map_;
  std::shared_ptr<const PreTokenizerStage> words_;
};

enum class Prepend { kAlways, kFirst, kNever };

// SentencePiece's habit: spaces become `mark`, and one is put in front.
class MetaspaceStage : public PreTokenizerStage {
 public:
  MetaspaceStage(const std::string& mark, Prepend prepend, bool split)
      : mark_(mark), prepend_(prepend), space_(Pattern::literal(" ")), words_(nullptr) {
    if (split) words_ = make_pattern_split(Pattern::literal(mark), SplitBehavior::kMergedWithNext, false);
  }

  void split(std::string_view text, bool at_start, const PieceSink& sink) const override {
    std::string marked = space_.replace_all(text, mark_);
    const bool wanted = prepend_ == Prepend::kAlways || (prepend_ == Prepend::kFirst && at_start);
    if (wanted && !marked.starts_with(mark_)) marked.insert(0, mark_);
    if (words_) {
      words_->split(marked, at_start, sink);
    } else {
      sink(marked, at_start);
    }
  }

 private:
  std::string mark_;
  Prepend prepend_;
  Pattern space_;
  std::shared_ptr<const PreTokenizerStage> words_;
};

std::shared_ptr<const PreTokenizerStage> make_metaspace(const Json& spec, const std::string& where) {
  const std::string mark = spec.get("replacement", "\xE2\x96\x81");
  if (mark.empty() || utf8_length(mark[0]) != mark.size()) refuse_type("replacement", mark, where, "one character");
  const std::string scheme = spec.get("prepend_scheme", spec.get("add_prefix_space", true) ? "always" : "never");
  Prepend prepend = Prepend::kAlways;
  if (scheme == "first") {
    prepend = Prepend::kFirst;
  } else if (scheme == "never") {
    prepend = Prepend::kNever;
  } else if (scheme != "always") {
    refuse_type("prepend_scheme", scheme, where, "always, first, never");
  }
  return std::make_shared<MetaspaceStage>(mark, prepend, spec.get("split", true));
}

std::shared_ptr<const PreTokenizerStage> make_stage(const Json& spec, const std::string& where, bool last) {
  const std::string type = require_string(spec, "type", where);
  if (type == "ByteLevel") {
    return std::make_shared<ByteLevelStage>(spec.get("add_prefix_space", true), spec.get("use_regex", true), !last);
  }
  if (type == "Split") {
    return make_pattern_split(Pattern::from_json(require(spec, "pattern", where), where + ".pattern"),
                              parse_split_behavior(require_string(spec, "behavior", where), where),
                              spec.get("invert", false));
  }
  if (type == "Digits") {
    return make_character_split(
        is_numeric, spec.get("individual_digits", false) ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
  }
  if (type == "Punctuation") {
    return make_character_split(is_punctuation, parse_split_behavior(spec.get("behavior", "Isolated"), where));
  }
  if (type == "Metaspace") return make_metaspace(spec, where);
  if (type == "Whitespace") {
    return make_pattern_split(Pattern::regex(R"(\w+|[^\w\s]+)", where), SplitBehavior::kRemoved, true);
  }
  if (type == "WhitespaceSplit") return make_character_split(is_white_space, SplitBehavior::kRemoved);
  if (type == "CharDelimiterSplit") {
    return make_pattern_split(Pattern::literal(require_string(spec, "delimiter", where)), SplitBehavior::kRemoved,
                              false);
  }
  refuse_type("pre-tokenizer", type, where, kKnown);
}

// Sequences, nested ones too, as one list.
void flatten(const Json& spec, const std::string& where, std::vector<const Json*>* out) {
  if (require_string(spec, "type", where) != "Sequence") {
    out->push_back(&spec);
    return;
  }
  for (const Json& item : require(spec, "pretokenizers", where).as_array(where)) {
    flatten(item, where + ".Sequence", out);
  }
}

}  // namespace

PreTokenizer PreTokenizer::from_json(const Json* spec, const std::string& where) {
  PreTokenizer p;
  if (spec == nullptr) return p;
  std::vector<const Json*> list;
  flatten(*spec, where, &list);
  for (const Json* item : list) p.stages_.push_back(make_stage(*item, where, item == list.back()));
  p.leaves_bytes_ = !list.empty() && require_string(*list.back(), "type", where) == "ByteLevel";
  return p;
}

void PreTokenizer::run(size_t stage, std::string_view text, bool at_start, const PieceSink& sink) const {
  if (stage + 1 >= stages_.size()) {
    stages_[stage]->split(text, at_start, sink);
    return;
  }
  stages_[stage]->split(text, at_start,
                        [&](std::string_view piece, bool first) { run(stage + 1, piece, first, sink); });
}

void PreTokenizer::split(std::string_view text, bool at_start, const PieceSink& sink) const {
  if (text.empty()) return;
  if (stages_.empty()) {
    sink(text, at_start);
  } else {
    run(0, text, at_start, sink);
  }
}

}  // namespace quamba2
