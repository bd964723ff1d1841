// SPDX-License-Identifier: Apache-2.0
// The page at "/": one HTML file with its style and script, in the program.
#pragma once

namespace quamba2::server {

extern const char* const kPage;

}  // namespace quamba2::server
