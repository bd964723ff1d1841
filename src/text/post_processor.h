// SPDX-License-Identifier: Apache-2.0
// The post-processor of a tokenizer.json: the special ids that go around one encoded text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quamba2 {

class Json;

struct PostProcessor {
  std::vector<int32_t> before, after;

  // `spec` is the member "post_processor", or nullptr for none. Throws Error{kModelFile}.
  static PostProcessor from_json(const Json* spec, int64_t id_limit, const std::string& where);
};

}  // namespace quamba2
