// SPDX-License-Identifier: Apache-2.0
// The whole page.
#pragma once

#include <string>

#include "report/documents.h"

namespace quamba2::report {

// One HTML file that loads nothing and holds no script. An empty title is made from the models. The same documents give
// the same bytes.
std::string page(const Documents& documents, const std::string& title);

}  // namespace quamba2::report
