// SPDX-License-Identifier: Apache-2.0
// Completion scripts for shells, made from the tree of commands.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace quamba2::cli {

std::string bash_completion(const CLI::App& root);
std::string zsh_completion(const CLI::App& root);
std::string fish_completion(const CLI::App& root);

}  // namespace quamba2::cli
