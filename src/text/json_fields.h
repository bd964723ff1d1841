// SPDX-License-Identifier: Apache-2.0
// Reading tokenizer.json: typed members whose errors name the whole path, and the refusal of what we do not know.
#pragma once

#include <string>

#include "base/json.h"

namespace quamba2 {

// A member that has to be there. Throws Error{kModelFile}.
const Json& require(const Json& object, const char* key, const std::string& where);
std::string require_string(const Json& object, const char* key, const std::string& where);

// An id of the vocabulary: whole, not negative, below `limit`. Throws Error{kModelFile}.
int32_t require_id(const Json& value, int64_t limit, const std::string& where);

// "unsupported tokenizer (where): the <kind> "<type>" is not known here; known are: <known>"
[[noreturn]] void refuse_type(const char* kind, const std::string& type, const std::string& where, const char* known);

}  // namespace quamba2
