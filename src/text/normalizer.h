// SPDX-License-Identifier: Apache-2.0
// The normalizer of a tokenizer.json: a list of steps that rewrite the text before it is split.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2 {

class Json;

class Normalizer {
 public:
  // `spec` is the member "normalizer", or nullptr for none. Throws Error{kModelFile} naming an unknown step.
  static Normalizer from_json(const Json* spec, const std::string& where);

  bool empty() const { return steps_.empty(); }
  std::string apply(std::string_view text) const;

 private:
  using Step = std::function<std::string(std::string_view)>;
  void add(const Json& spec, const std::string& where);
  std::vector<Step> steps_;
};

}  // namespace quamba2
