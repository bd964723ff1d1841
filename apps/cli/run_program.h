// SPDX-License-Identifier: Apache-2.0
// For tests: runs the program and keeps what it says.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace quamba2::cli {

struct Outcome {
  int code = -1;  // exit code, or -signal
  std::string out, err;
};

struct How {
  std::string input;                     // standard input
  std::vector<std::string> environment;  // "NAME=value", beside a bare one
  std::string out_path;                  // standard output, where not kept
};

Outcome run(const std::vector<std::string>& words, const How& how = {});

// A program at work. `out_fd` takes its standard output where given.
struct Running {
  pid_t pid = -1;
  std::string out_path, err_path;
};
Running start(const std::vector<std::string>& words, const How& how = {}, int out_fd = -1);
Outcome wait_for(const Running& running);

std::string demo();  // the bundled model
std::string demo_file(const std::string& name);
std::string scratch();  // a fresh directory, removed at the end
std::string slurp(const std::string& path);
const std::string& quantized(const std::string& recipe);  // the demo in that recipe, made once a process

}  // namespace quamba2::cli
