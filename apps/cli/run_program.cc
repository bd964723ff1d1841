// SPDX-License-Identifier: Apache-2.0
#include "run_program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace quamba2::cli {
namespace {

void redirect(const std::string& path, int flags, int to) {
  const int fd = open(path.c_str(), flags, 0600);
  if (fd < 0) _exit(126);
  dup2(fd, to);
}

std::vector<char*> pointers(std::vector<std::string>* words) {
  std::vector<char*> out;
  for (std::string& word : *words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

std::string scratch() {
  static struct Made {
    std::vector<std::string> paths;
    ~Made() {
      std::error_code ignored;
      for (const std::string& path : paths) std::filesystem::remove_all(path, ignored);
    }
  } made;
  std::string pattern = (std::filesystem::temp_directory_path() / "quamba2-cli-XXXXXX").string();
  if (!mkdtemp(pattern.data())) std::abort();
  made.paths.push_back(pattern);
  return pattern;
}

std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Running start(const std::vector<std::string>& words, const How& how, int out_fd) {
  const std::string folder = scratch();
  Running running{-1, how.out_path.empty() ? folder + "/out" : how.out_path, folder + "/err"};
  std::ofstream(folder + "/in", std::ios::binary) << how.input;
  std::vector<std::string> arguments = {QUAMBA2_PROGRAM};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin", "HOME=" + folder, "TERM=xterm"};
  environment.insert(environment.end(), how.environment.begin(), how.environment.end());
  const std::vector<char*> argv = pointers(&arguments), envp = pointers(&environment);
  running.pid = fork();
  if (running.pid == 0) {
    redirect(folder + "/in", O_RDONLY, STDIN_FILENO);
    if (out_fd >= 0) {
      dup2(out_fd, STDOUT_FILENO);
      close(out_fd);
    } else {
      redirect(running.out_path, O_WRONLY | O_CREAT, STDOUT_FILENO);
    }
    redirect(running.err_path, O_WRONLY | O_CREAT, STDERR_FILENO);
    execve(QUAMBA2_PROGRAM, argv.data(), envp.data());
    _exit(127);
  }
  return running;
}

Outcome wait_for(const Running& running) {
  int status = 0;
  waitpid(running.pid, &status, 0);
  Outcome outcome;
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  if (running.out_path.rfind("/dev/", 0) != 0) outcome.out = slurp(running.out_path);
  outcome.err = slurp(running.err_path);
  return outcome;
}

Outcome run(const std::vector<std::string>& words, const How& how) { return wait_for(start(words, how)); }

std::string demo() { return std::string(QUAMBA2_SOURCE) + "/models/demo"; }
std::string demo_file(const std::string& name) { return demo() + "/" + name; }

const std::string& quantized(const std::string& recipe) {
  static std::map<std::string, std::string> made;
  std::string& path = made[recipe];
  if (path.empty()) {
    path = scratch() + "/demo-" + recipe;
    const Outcome outcome = run({"quantize", demo(), "--recipe", recipe, "-o", path, "--calib-samples", "2"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  }
  return path;
}

}  // namespace quamba2::cli
