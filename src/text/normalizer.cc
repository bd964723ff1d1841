// SPDX-License-Identifier: Apache-2.0
#include "text/normalizer.h"

#include "text/byte_level.h"
#include "text/json_fields.h"
#include "text/pattern.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

std::string strip(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    size_t at = 0;
    if (!is_white_space(utf8_next(text, &at))) break;
    text.remove_prefix(at);
  }
  while (right && !text.empty()) {
    const size_t last = utf8_last(text);
    size_t at = last;
    if (!is_white_space(utf8_next(text, &at))) break;
    text = text.substr(0, last);
  }
  return std::string(text);
}

}  // namespace

Normalizer Normalizer::from_json(const Json* spec, const std::string& where) {
  Normalizer n;
  if (spec != nullptr) n.add(*spec, where);
  return n;
}

void Normalizer::add(const Json& spec, const std::string& where) {
  const std::string type = require_string(spec, "type", where);
  const auto form = [this](NormalForm f) { steps_.push_back([f](std::string_view t) { return normalize(t, f); }); };
  if (type == "Sequence") {
    for (const Json& item : require(spec, "normalizers", where).as_array(where)) add(item, where + ".Sequence");
  } else if (type == "NFC") {
    form(NormalForm::kNfc);
  } else if (type == "NFD") {
    form(NormalForm::kNfd);
  } else if (type == "NFKC") {
    form(NormalForm::kNfkc);
  } else if (type == "NFKD") {
    form(NormalForm::kNfkd);
  } else if (type == "Lowercase") {
    steps_.push_back(to_lower);
  } else if (type == "StripAccents") {
    steps_.push_back(strip_accents);
  } else if (type == "ByteLevel") {
    steps_.push_back(map_bytes);
  } else if (type == "Strip") {
    const bool left = spec.get("strip_left", true), right = spec.get("strip_right", true);
    steps_.push_back([left, right](std::string_view t) { return strip(t, left, right); });
  } else if (type == "Prepend") {
    steps_.push_back([prefix = require_string(spec, "prepend", where)](std::string_view t) {
      return t.empty() ? std::string() : prefix + std::string(t);
    });
  } else if (type == "Replace") {
    steps_.push_back([pattern = Pattern::from_json(require(spec, "pattern", where), where + ".pattern"),
                      content = require_string(spec, "content", where)](std::string_view t) {
      return pattern.replace_all(t, content);
    });
  } else {
    refuse_type("normalizer", type, where,
                "NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, ByteLevel, Strip, Prepend, Replace, Sequence");
  }
}

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (const Step& step : steps_) out = step(out);
  return out;
}

}  // namespace quamba2
