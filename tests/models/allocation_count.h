// SPDX-License-Identifier: Apache-2.0
// How often this program has called operator new.
#pragma once

namespace quamba2::testing {

int allocations();

}  // namespace quamba2::testing
