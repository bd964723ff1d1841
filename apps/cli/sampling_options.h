// SPDX-License-Identifier: Apache-2.0
// How the next token is chosen: the options that verbs which generate share.
#pragma once

#include "quamba2/generate.h"

namespace CLI {
class App;
}

namespace quamba2::cli {

// `options` lives as long as the tree of commands.
void add_sampling_options(CLI::App* verb, SamplingOptions* options);

}  // namespace quamba2::cli
