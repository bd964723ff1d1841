// SPDX-License-Identifier: Apache-2.0
#include "text/post_processor.h"

#include "quamba2/error.h"
#include "text/json_fields.h"

namespace quamba2 {
namespace {

// Around what is there already.
void wrap(const std::vector<int32_t>& before, const std::vector<int32_t>& after, PostProcessor* out) {
  out->before.insert(out->before.begin(), before.begin(), before.end());
  out->after.insert(out->after.end(), after.begin(), after.end());
}

// {"single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"<s>": {"ids": [1]}}}
void add_template(const Json& spec, int64_t id_limit, const std::string& where, PostProcessor* out) {
  std::vector<int32_t> before, after;
  int sequences = 0;
  for (const Json& item : require(spec, "single", where).as_array(where + ".single")) {
    if (item.find("Sequence") != nullptr) {
      ++sequences;
      continue;
    }
    const std::string name = require_string(require(item, "SpecialToken", where), "id", where);
    const Json& token = require(require(spec, "special_tokens", where), name.c_str(), where + ".special_tokens");
    for (const Json& id : require(token, "ids", where).as_array(where)) {
      (sequences == 0 ? before : after).push_back(require_id(id, id_limit, where + ".special_tokens." + name));
    }
  }
  if (sequences != 1) {
    throw Error(ErrorCode::kModelFile, "unsupported tokenizer", where + ".single",
                "the text appears " + std::to_string(sequences) + " times, not once");
  }
  wrap(before, after, out);
}

// Bert's and Roberta's: ["[CLS]", 101] in front, ["[SEP]", 102] behind.
int32_t pair_id(const Json& spec, const char* key, int64_t id_limit, const std::string& where) {
  const Json::Array& pair = require(spec, key, where).as_array(where);
  if (pair.size() != 2) refuse_type(key, "list", where, "[token, id]");
  return require_id(pair[1], id_limit, where + "." + key);
}

void add(const Json& spec, int64_t id_limit, const std::string& where, PostProcessor* out) {
  const std::string type = require_string(spec, "type", where);
  if (type == "Sequence") {
    for (const Json& item : require(spec, "processors", where).as_array(where)) add(item, id_limit, where, out);
  } else if (type == "TemplateProcessing") {
    add_template(spec, id_limit, where, out);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    wrap({pair_id(spec, "cls", id_limit, where)}, {pair_id(spec, "sep", id_limit, where)}, out);
  } else if (type != "ByteLevel") {  // ByteLevel moves offsets, which nobody asks for here
    refuse_type("post-processor", type, where,
                "TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing, Sequence");
  }
}

}  // namespace

PostProcessor PostProcessor::from_json(const Json* spec, int64_t id_limit, const std::string& where) {
  PostProcessor p;
  if (spec != nullptr) add(*spec, id_limit, where, &p);
  return p;
}

}  // namespace quamba2
