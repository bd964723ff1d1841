// SPDX-License-Identifier: Apache-2.0
#include "quamba2/error.h"

#include <utility>

namespace quamba2 {

Error::Error(ErrorCode code, std::string what, std::string where, std::string why, std::string hint)
    : code_(code), what_(std::move(what)), where_(std::move(where)), why_(std::move(why)), hint_(std::move(hint)) {
  message_ = what_;
  if (!where_.empty()) message_ += " (" + where_ + ")";
  if (!why_.empty()) message_ += ": " + why_;
  if (!hint_.empty()) message_ += "; " + hint_;
}

Error Error::within(const std::string& place) const {
  return Error(code_, what_, where_.empty() ? place : place + ": " + where_, why_, hint_);
}

}  // namespace quamba2
