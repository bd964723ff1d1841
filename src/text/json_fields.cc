// SPDX-License-Identifier: Apache-2.0
#include "text/json_fields.h"

#include "quamba2/error.h"

namespace quamba2 {

const Json& require(const Json& object, const char* key, const std::string& where) {
  object.as_object(where);
  if (const Json* value = object.find(key)) return *value;
  throw Error(ErrorCode::kModelFile, "invalid tokenizer", where, std::string("the member \"") + key + "\" is missing");
}

std::string require_string(const Json& object, const char* key, const std::string& where) {
  return require(object, key, where).as_string(where + "." + key);
}

int32_t require_id(const Json& value, int64_t limit, const std::string& where) {
  const int64_t id = value.as_int(where);
  if (id >= 0 && id < limit) return static_cast<int32_t>(id);
  throw Error(ErrorCode::kModelFile, "invalid tokenizer", where,
              "the id " + std::to_string(id) + " is not in [0, " + std::to_string(limit) + ")");
}

void refuse_type(const char* kind, const std::string& type, const std::string& where, const char* known) {
  throw Error(ErrorCode::kModelFile, "unsupported tokenizer", where,
              std::string("the ") + kind + " \"" + type + "\" is not known here", std::string("known are: ") + known);
}

}  // namespace quamba2
