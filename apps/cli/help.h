// SPDX-License-Identifier: Apache-2.0
// How help texts look.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace quamba2::cli {

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;

  bool colour = false;
};

// "generate", "eval ppl": the words that lead to a command, without the program's name.
std::string path_of(const CLI::App* app);

// The options of a command that its help shows, in groups, positional ones first.
std::vector<const CLI::Option*> shown_options(const CLI::App* app, const std::string& group);

// "-t, --threads N"
std::string option_syntax(const CLI::Option* option);

}  // namespace quamba2::cli
