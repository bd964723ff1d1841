// SPDX-License-Identifier: Apache-2.0
// Ids to text, one id at a time. Decoding a whole list is pushing each and finishing, so that a stream and a list give
// the same text by construction.
#pragma once

#include <cstdint>
#include <string>

namespace quamba2 {

class TextDecoder {
 public:
  virtual ~TextDecoder() = default;
  // Appends the text that is certain now: whole characters only. Ids that no token has count as nothing.
  virtual void push(int32_t id, std::string* out) = 0;
  // Appends what was held back. The decoder is used up after that.
  virtual void finish(std::string* out) = 0;
};

}  // namespace quamba2
