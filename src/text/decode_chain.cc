// SPDX-License-Identifier: Apache-2.0
#include "text/decode_chain.h"

#include "text/decode_stages.h"
#include "text/json_fields.h"
#include "text/utf8.h"

namespace quamba2 {

DecodeChain DecodeChain::from_json(const Json* spec, const std::string& where) {
  DecodeChain chain;
  if (spec != nullptr) {
    chain.add(*spec, where);
  } else {
    chain.factories_.push_back(make_join_stage);
  }
  return chain;
}

void DecodeChain::add(const Json& spec, const std::string& where) {
  const std::string type = require_string(spec, "type", where);
  if (type == "Sequence") {
    for (const Json& item : require(spec, "decoders", where).as_array(where)) add(item, where + ".Sequence");
  } else if (type == "ByteLevel") {
    factories_.push_back(make_byte_level_stage);
  } else if (type == "ByteFallback") {
    factories_.push_back(make_byte_fallback_stage);
  } else if (type == "Fuse") {
    factories_.push_back(make_fuse_stage);
  } else if (type == "Replace") {
    factories_.push_back([pattern = Pattern::from_json(require(spec, "pattern", where), where + ".pattern"),
                          content = require_string(spec, "content", where)](DecodeStage* next) {
      return make_replace_stage(next, pattern, content);
    });
  } else if (type == "Strip") {
    const std::string content = require_string(spec, "content", where);
    if (content.empty() || utf8_length(content[0]) != content.size()) {
      refuse_type("content of Strip", content, where, "single characters");
    }
    const int64_t start = spec.get("start", 0), stop = spec.get("stop", 0);
    factories_.push_back([=](DecodeStage* next) { return make_strip_stage(next, content, start, stop); });
  } else if (type == "Metaspace") {
    const std::string mark = spec.get("replacement", "\xE2\x96\x81");
    const std::string scheme = spec.get("prepend_scheme", spec.get("add_prefix_space", true) ? "always" : "never");
    factories_.push_back(
        [mark, drop = scheme != "never"](DecodeStage* next) { return make_metaspace_stage(next, mark, drop); });
  } else {
    refuse_type("decoder", type, where, "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, Sequence");
  }
}

DecodeChain::Stream::Stream(const DecodeChain& chain) {
  stages_.push_back(make_output_stage(&pending_));
  for (auto it = chain.factories_.rbegin(); it != chain.factories_.rend(); ++it) {
    stages_.push_back((*it)(stages_.back().get()));
  }
}

DecodeChain::Stream::~Stream() = default;

void DecodeChain::Stream::push(std::string_view token, std::string* out) {
  stages_.back()->text(token);
  stages_.back()->end_token();
  out->append(pending_);
  pending_.clear();
}

void DecodeChain::Stream::finish(std::string* out) {
  stages_.back()->finish();
  out->append(pending_);
  pending_.clear();
}

}  // namespace quamba2
