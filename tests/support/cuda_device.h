// SPDX-License-Identifier: Apache-2.0
// The GPU that tests run on. A program that links this skips all its cases where there is none, and counts them.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace quamba2::testing {

// Null where there is none.
std::shared_ptr<Backend> cuda_backend();

}  // namespace quamba2::testing
