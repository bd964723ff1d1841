// SPDX-License-Identifier: Apache-2.0
// Splitting at matches: the five behaviours of Hugging Face's SplitDelimiterBehavior, and the stages made of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/pattern.h"
#include "text/pre_tokenizer.h"

namespace quamba2 {

enum class SplitBehavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
// "Isolated", ... as Split and Punctuation write them. Throws Error{kModelFile}.
SplitBehavior parse_split_behavior(const std::string& name, const std::string& where);

std::shared_ptr<const PreTokenizerStage> make_pattern_split(Pattern pattern, SplitBehavior behavior, bool invert);
// Every character for which `matches` holds is a match of its own.
std::shared_ptr<const PreTokenizerStage> make_character_split(bool (*matches)(char32_t), SplitBehavior behavior);

}  // namespace quamba2
