// SPDX-License-Identifier: Apache-2.0
// The stages of a DecodeChain. Each behaves on a stream as Hugging Face's decoder of that name does on a whole list.
#pragma once

#include <memory>
#include <string>

#include "text/decode_chain.h"
#include "text/pattern.h"

namespace quamba2 {

std::unique_ptr<DecodeStage> make_output_stage(std::string* out);
std::unique_ptr<DecodeStage> make_byte_level_stage(DecodeStage* next);
std::unique_ptr<DecodeStage> make_byte_fallback_stage(DecodeStage* next);
std::unique_ptr<DecodeStage> make_fuse_stage(DecodeStage* next);
std::unique_ptr<DecodeStage> make_join_stage(DecodeStage* next);
std::unique_ptr<DecodeStage> make_replace_stage(DecodeStage* next, Pattern pattern, std::string content);
std::unique_ptr<DecodeStage> make_strip_stage(DecodeStage* next, std::string content, int64_t start, int64_t stop);
// `drop_first`: the mark is dropped, not turned into a space, in the first token.
std::unique_ptr<DecodeStage> make_metaspace_stage(DecodeStage* next, std::string mark, bool drop_first);

}  // namespace quamba2
