// SPDX-License-Identifier: Apache-2.0
// The style sheet of the page.
#pragma once

#include <string_view>

namespace quamba2::report {

std::string_view style_sheet();

}  // namespace quamba2::report
