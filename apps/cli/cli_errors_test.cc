// SPDX-License-Identifier: Apache-2.0
// Exit codes and the one line that a failure prints.
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <algorithm>

#include <filesystem>
#include <fstream>

#include "run_program.h"

namespace quamba2::cli {
namespace {

struct Fault {
  std::vector<std::string> words;
  int code;
  std::vector<std::string> said;
  std::vector<std::string> environment = {};
};

void expect_faults(const std::vector<Fault>& faults) {
  for (const Fault& fault : faults) {
    std::string trace;
    for (const std::string& word : fault.words) trace += word + " ";
    SCOPED_TRACE(trace);
    const Outcome outcome = run(fault.words, {"", fault.environment, ""});
    EXPECT_EQ(outcome.code, fault.code) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err.rfind("error: ", 0), 0u) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    for (const std::string& part : fault.said) EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
}

TEST(Errors, UsageSaysWhatWasMeant) {
  const std::string m = demo();
  expect_faults({
      {{}, 2, {"no verb", "--help"}},
      {{"eval"}, 2, {"no verb", "eval --help"}},
      {{"quantise"}, 2, {"unknown verb 'quantise'", "did you mean 'quantize'?"}},
      {{"eval", "pple", m}, 2, {"unknown verb 'pple'", "did you mean 'ppl'?"}},
      {{"xyzzy"}, 2, {"unknown verb", "--help"}},
      {{"--thread"}, 2, {"unknown option '--thread'", "options follow the verb"}},
      {{"inspect", m, "--jsn"}, 2, {"unknown option '--jsn' (inspect)", "did you mean '--json'?"}},
      {{"inspect", m, "--colour=always"}, 2, {"did you mean '--color'?"}},
      {{"quantize", m, "--recip", "w4a16", "-o", "/tmp/x"}, 2, {"did you mean '--recipe'?"}},
      {{"inspect"}, 2, {"missing MODEL", "inspect --help"}},
      {{"quantize", m, "-o", "/tmp/x"}, 2, {"missing --recipe"}},
      {{"bench", "serve"}, 2, {"no server", "--url"}},
      {{"bench", "serve", m, "--url", "http://127.0.0.1:1"}, 2, {"two servers"}},
      {{"bench", "serve", m, "--rate", "1", "--concurrency", "2"}, 2, {"--rate", "--concurrency"}},
      {{"bench", "serve", "--url", "127.0.0.1"}, 2, {"--url", "http://"}},
      {{"bench", "serve", m, "--input-len", "9-3", "--no-offline"}, 2, {"--input-len", "'9-3'"}},
      {{"bench", "serve", "--url", "http://127.0.0.1:1"}, 1, {"cannot reach the server"}},
      {{"inspect", m, m}, 2, {"unexpected argument"}},
      {{"inspect", m, "--color"}, 2, {"--color"}},
      {{"explain", m, "--device", "cpuu"}, 2, {"'cpuu'", "did you mean 'cpu'?"}},
      {{"explain", m, "--threads", "two"}, 2, {"--threads", "'two' is not a whole number"}},
      {{"explain", m, "--threads", "-1"}, 2, {"--threads", "-1 is less than 0"}},
      {{"eval", "tasks", m, "--data", "/tmp", "--tasks", "hellaswak"}, 2, {"--tasks", "did you mean 'hellaswag'?"}},
      {{"eval", "tasks", m, "--data", "/tmp", "--samples"}, 2, {"--samples", "--json"}},
      {{"eval", "tasks", m}, 2, {"missing --data"}},
      {{"random", "mamba2-2.8b", "-o", "/tmp/x"}, 2, {"unknown model shape", "did you mean"}},
      {{"generate", m}, 2, {"no prompt", "-p TEXT"}},
      {{"generate", m, "-p", "a", "--temperature", "hot"}, 2, {"--temperature", "'hot' is not a number"}},
      {{"generate", m, "-p", "a", "--temperature", "-1"}, 2, {"temperature", "0 or more"}},
      {{"generate", m, "-p", "a", "--stop", ""}, 2, {"stop"}},
      {{"generate", m, "-p", "a", "-n", "5.5"}, 2, {"--max-tokens", "'5.5'"}},
      {{"quantize", m, "--recipe", "w4a61", "-o", "/tmp/x"}, 2, {"unknown recipe 'w4a61'", "did you mean 'w4a16'?"}},
      {{"quantize", m, "--recipe", "w4a16", "-o", "/tmp/x", "--table-bits", "5"}, 2, {"--table-bits", "4, 6, 8 or 16"}},
      {{"bench", m, "-p", "12x"}, 2, {"--n-prompt", "'12x'"}},
      {{"bench", m, "-n", "8-4"}, 2, {"--n-gen"}},
      {{"bench", m, "--cpus", "1000"}, 2, {"--cpus", "processor 1000"}},
      {{"completion", "tcsh"}, 2, {"'tcsh' is not bash, zsh or fish"}},
      {{"tokenize", m, "1 x", "--decode"}, 2, {"'x'"}},
      {{"tokenize", m, "1", "--decode", "--ids"}, 2, {"--ids"}},
  });
}

TEST(Errors, FilesAndModels) {
  const std::string m = demo(), gone = scratch() + "/gone", empty = scratch();
  std::ofstream(empty + "/no-model.txt") << "text";
  expect_faults({
      {{"report", gone, "-o", "/tmp/x.html"}, 3, {gone}},
      {{"report", empty, "-o", "/tmp/x.html"}, 3, {empty, "no quantization.json"}},
      {{"report", empty + "/no-model.txt", "-o", "/tmp/x.html"}, 3, {"no-model.txt", "invalid JSON"}},
      {{"report", gone, "-o", empty}, 2, {empty, "a report is one file"}},
      {{"report", gone, "-o", gone + "/x.html"}, 1, {"cannot write --output", gone}},
      {{"report", "-o", "/tmp/x.html"}, 2, {"missing INPUT"}},
      {{"inspect", gone}, 3, {gone}},
      {{"inspect", empty}, 3, {}},
      {{"tokenize", gone, "a"}, 3, {gone}},
      {{"eval", "ppl", m, "--text", gone}, 3, {"cannot read --text", gone, "No such file"}},
      {{"eval", "ppl", m, "--text", "/"}, 3, {"cannot read --text"}},
      {{"generate", m, "-f", gone}, 3, {"cannot read --file"}},
      {{"quantize", m, "--recipe", "w8a8", "-o", "/tmp/x/y/z"}, 1, {"cannot write --output", "No such file"}},
      {{"quantize", m, "--recipe", "w8a8", "-o", m + "/config.json/x"}, 1, {"cannot write --output"}},
  });
}

TEST(Errors, CalibrationThatIsMissing) {
  const std::string folder = scratch() + "/model";
  std::filesystem::create_directory(folder);
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"}) {
    std::filesystem::create_symlink(demo_file(name), folder + "/" + name);
  }
  expect_faults(
      {{{"quantize", folder, "--recipe", "w8a8", "-o", folder + "-out"}, 2, {"no calibration text (--calib)"}}});
  EXPECT_FALSE(std::filesystem::exists(folder + "-out"));
}

TEST(Environment, FlagBeatsEnvironmentBeatsDefault) {
  const std::vector<std::string> words = {"inspect", demo()};
  EXPECT_EQ(run(words, {"", {"QUAMBA2_JSON=true"}, ""}).out, run({"inspect", demo(), "--json"}).out);
  expect_faults({{{"explain", demo()}, 2, {"QUAMBA2_DEVICE", "'gpu'"}, {"QUAMBA2_DEVICE=gpu"}}});
  EXPECT_EQ(run({"explain", demo(), "--device", "cpu"}, {"", {"QUAMBA2_DEVICE=gpu"}, ""}).code, 0);
  EXPECT_EQ(run(words, {"", {"QUAMBA2_DEVICE=gpu"}, ""}).code, 0) << "inspect has no such option";
  const std::vector<std::string> coloured = {"help", "inspect"};
  EXPECT_NE(run(coloured, {"", {"FORCE_COLOR=1"}, ""}).out.find('\033'), std::string::npos);
  EXPECT_EQ(run(coloured, {"", {"FORCE_COLOR=1", "NO_COLOR=1"}, ""}).out.find('\033'), std::string::npos);
}

TEST(Environment, ThreadsComeFromOpenMp) {
  const auto explained = [](const std::vector<std::string>& more, const std::vector<std::string>& environment) {
    std::vector<std::string> words = {"explain", demo()};
    words.insert(words.end(), more.begin(), more.end());
    const std::string out = run(words, {"", environment, ""}).out;
    return out.substr(0, out.find('\n'));
  };
  const std::string one = explained({"--threads", "1"}, {});
  EXPECT_EQ(explained({}, {"OMP_NUM_THREADS=1"}), one);
  EXPECT_EQ(explained({}, {"OMP_NUM_THREADS=7", "QUAMBA2_THREADS=1"}), one);
  EXPECT_EQ(explained({"-t", "1"}, {"QUAMBA2_THREADS=7"}), one);
}

TEST(Errors, FullDevice) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--help"},
                                                {"version"},
                                                {"inspect", demo()},
                                                {"generate", demo(), "-p", "a", "-n", "3"}}) {
    const Outcome outcome = run(words, {"", {}, "/dev/full"});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_NE(outcome.err.find("error: cannot write (standard output): No space left"), std::string::npos)
        << outcome.err;
  }
}

TEST(Errors, TooLittleMemory) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer's shadow does not fit under a limit of address space";
#endif
  const std::string folder = scratch();
  int without_memory = 0;
  for (int limit = 20000; limit <= 120000; limit += 5000) {  // kB; what a bare process takes differs between machines
    const std::string command = "ulimit -v " + std::to_string(limit) + "; " QUAMBA2_PROGRAM " explain " + demo() +
                                " --threads 1 > /dev/null 2> " + folder + "/err";
    const int status = std::system(("bash -c '" + command + "'").c_str());
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) != 4) continue;
    ++without_memory;
    EXPECT_EQ(slurp(folder + "/err").rfind("error: out of memory", 0), 0u) << slurp(folder + "/err");
  }
  EXPECT_GT(without_memory, 0);
}

}  // namespace
}  // namespace quamba2::cli
