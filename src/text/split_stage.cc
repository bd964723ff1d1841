// SPDX-License-Identifier: Apache-2.0
#include "text/split_stage.h"

#include <algorithm>
#include <utility>

#include "text/gpt2_scanner.h"
#include "text/json_fields.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

struct Span {
  size_t begin, end;
  bool match;
};
using Spans = std::vector<Span>;

// Joins neighbours while keeping the order; `joins(previous, next)` looks at the original spans.
template <class Joins>
Spans join(const Spans& in, Joins joins) {
  Spans out;
  for (size_t i = 0; i < in.size(); ++i) {
    if (i > 0 && joins(in[i - 1], in[i])) {
      out.back().end = in[i].end;
    } else {
      out.push_back(in[i]);
    }
  }
  return out;
}

// `spans` cover the text. A match joins its neighbour only if that one is no match.
Spans arrange(Spans spans, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kIsolated: return spans;
    case SplitBehavior::kRemoved:
      spans.erase(std::remove_if(spans.begin(), spans.end(), [](const Span& s) { return s.match; }), spans.end());
      return spans;
    case SplitBehavior::kMergedWithPrevious:
      return join(spans, [](const Span& a, const Span& b) { return b.match && !a.match; });
    case SplitBehavior::kMergedWithNext:
      return join(spans, [](const Span& a, const Span& b) { return a.match && !b.match; });
    case SplitBehavior::kContiguous:
      return join(spans, [](const Span& a, const Span& b) { return a.match == b.match; });
  }
  return spans;
}

void emit(std::string_view text, bool at_start, size_t begin, size_t end, const PieceSink& sink) {
  if (begin < end) sink(text.substr(begin, end - begin), at_start && begin == 0);
}

class PatternSplit : public PreTokenizerStage {
 public:
  PatternSplit(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void split(std::string_view text, bool at_start, const PieceSink& sink) const override {
    if (behavior_ == SplitBehavior::kIsolated) {  // nothing to remember: long texts need no memory
      walk(text, [&](const Span& s) { emit(text, at_start, s.begin, s.end, sink); });
      return;
    }
    Spans spans;
    walk(text, [&](const Span& s) { spans.push_back(s); });
    for (const Span& s : arrange(std::move(spans), behavior_)) emit(text, at_start, s.begin, s.end, sink);
  }

 private:
  template <class Visit>
  void walk(std::string_view text, Visit visit) const {
    Pattern::Matcher matcher(pattern_, text);
    size_t done = 0, begin = 0, end = 0;
    while (matcher.next(&begin, &end)) {
      if (done != begin) visit(Span{done, begin, invert_});
      visit(Span{begin, end, !invert_});
      done = end;
    }
    if (done != text.size()) visit(Span{done, text.size(), invert_});
  }

  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class CharacterSplit : public PreTokenizerStage {
 public:
  CharacterSplit(bool (*matches)(char32_t), SplitBehavior behavior) : matches_(matches), behavior_(behavior) {}

  void split(std::string_view text, bool at_start, const PieceSink& sink) const override {
    Spans spans;
    size_t done = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      if (!matches_(utf8_next(text, &at))) continue;
      if (done != begin) spans.push_back({done, begin, false});
      spans.push_back({begin, at, true});
      done = at;
    }
    if (done != text.size()) spans.push_back({done, text.size(), false});
    for (const Span& s : arrange(std::move(spans), behavior_)) emit(text, at_start, s.begin, s.end, sink);
  }

 private:
  bool (*matches_)(char32_t);
  SplitBehavior behavior_;
};

class Gpt2Split : public PreTokenizerStage {
 public:
  void split(std::string_view text, bool at_start, const PieceSink& sink) const override {
    for (size_t at = 0; at < text.size();) {
      const size_t length = gpt2_match(text.substr(at));
      sink(text.substr(at, length), at_start && at == 0);
      at += length;
    }
  }
};

}  // namespace

SplitBehavior parse_split_behavior(const std::string& name, const std::string& where) {
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  refuse_type("split behavior", name, where, "Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous");
}

std::shared_ptr<const PreTokenizerStage> make_pattern_split(Pattern pattern, SplitBehavior behavior, bool invert) {
  // The GPT-2 pattern leaves no gaps, so that isolating and joining nothing are all that can happen.
  if (pattern.expression() == kGpt2Pattern && behavior == SplitBehavior::kIsolated) {
    return std::make_shared<Gpt2Split>();
  }
  return std::make_shared<PatternSplit>(std::move(pattern), behavior, invert);
}

std::shared_ptr<const PreTokenizerStage> make_character_split(bool (*matches)(char32_t), SplitBehavior behavior) {
  return std::make_shared<CharacterSplit>(matches, behavior);
}

}  // namespace quamba2
