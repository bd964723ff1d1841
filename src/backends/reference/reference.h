// SPDX-License-Identifier: Apache-2.0
// The double-precision references as a back end: slow, and right by definition.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace quamba2 {

std::shared_ptr<Backend> make_reference_backend();

}  // namespace quamba2
