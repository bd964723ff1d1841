// SPDX-License-Identifier: Apache-2.0
// Files that options name; `-` is standard input.
#pragma once

#include <string>

#include "quamba2/engine.h"

namespace quamba2::cli {

// Throws Error{kModelFile} that names `option`, or Error{kInterrupted}.
std::string read_input(const std::string& path, const std::string& option);

// Throws Error{kUsage} that names the file where the paused text that it held is another model's. An empty text is anybody's.
void check_model_of(const Engine& engine, const PausedText& paused, const std::string& path);

// Does the path name something that is there?
bool exists(const std::string& path);
// The directory of a model that may be named by a file in it.
std::string model_directory(const std::string& model);
// Can a new entry be made beside `path`? Throws Error{kRuntime} that says why not.
void check_writable_place(const std::string& path, const std::string& option);

// Refuses an --output that is there already, unless `force`, and a place that cannot be written: before minutes of work.
void check_target(const std::string& output, bool force);

}  // namespace quamba2::cli
