// SPDX-License-Identifier: Apache-2.0
// Interruptions: Ctrl-C, a reader that has gone, and a kill that leaves no time to clean up.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "run_program.h"

namespace quamba2::cli {
namespace {

using std::chrono::milliseconds;

// Waits until the program has said something on standard output.
void wait_for_output(const Running& running) {
  for (int i = 0; i < 2000 && slurp(running.out_path).size() < 40; ++i) std::this_thread::sleep_for(milliseconds(10));
}

TEST(Signals, InterruptedGenerationEndsWith130) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const Running running = start({"generate", demo(), "-p", "It was", "-n", "1000000", "--ignore-eos"});
    wait_for_output(running);
    kill(running.pid, signal);
    const Outcome outcome = wait_for(running);
    EXPECT_EQ(outcome.code, 128 + signal);
    EXPECT_EQ(outcome.out.back(), '\n') << "the text that was there is kept, and ends";
    EXPECT_NE(outcome.err.find("tokens/s"), std::string::npos) << outcome.err;
  }
}

TEST(Signals, InterruptedEvaluationSaysSo) {
  const Running running =
      start({"eval", "ppl", demo(), "--text", demo_file("eval.txt"), "--device", "reference", "--window", "64"});
  std::this_thread::sleep_for(milliseconds(1500));
  kill(running.pid, SIGINT);
  const Outcome outcome = wait_for(running);
  EXPECT_EQ(outcome.code, 130);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("error: interrupted\n"), std::string::npos) << outcome.err;
}

TEST(Signals, TheSecondInterruptKills) {
  const Running running = start({"eval", "ppl", demo(), "--text", "/dev/zero"});  // reads for ever
  std::this_thread::sleep_for(milliseconds(200));
  kill(running.pid, SIGINT);
  std::this_thread::sleep_for(milliseconds(1));
  kill(running.pid, SIGINT);
  const Outcome outcome = wait_for(running);
  EXPECT_TRUE(outcome.code == -SIGINT || outcome.code == 130) << outcome.code;
}

TEST(Signals, InterruptedQuantizationLeavesFinishedLayersOnly) {
  const std::string folder = scratch();
  const Running running = start({"quantize", demo(), "--recipe", "w8a8", "-o", folder + "/out", "--calib-window", "16",
                                 "--calib-samples", "100000"});  // minutes of work
  std::this_thread::sleep_for(milliseconds(1000));
  kill(running.pid, SIGINT);
  EXPECT_EQ(wait_for(running).code, 130);
  for (const auto& left : std::filesystem::directory_iterator(folder)) EXPECT_EQ(left.path().filename(), "out.partial");
}

// What a job that was killed finished is taken over, and the result has the same bits.
TEST(Signals, KilledQuantizationResumes) {
  const std::string folder = scratch();
  std::vector<std::string> words = {"quantize",        demo(), "--recipe",       "w8a8", "-o", folder + "/out",
                                    "--calib-samples", "24",   "--calib-window", "256"};
  const Running running = start(words);
  const std::string third = folder + "/out.partial/part-2.safetensors";
  for (int i = 0; i < 600 && !std::filesystem::exists(third); ++i) std::this_thread::sleep_for(milliseconds(50));
  kill(running.pid, SIGKILL);
  wait_for(running);
  ASSERT_TRUE(std::filesystem::exists(third));
  words.push_back("--resume");
  const Outcome resumed = run(words);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_FALSE(std::filesystem::exists(folder + "/out.partial"));
  words.pop_back();
  words[5] = folder + "/whole";
  EXPECT_EQ(run(words).code, 0);
  EXPECT_EQ(slurp(folder + "/out/model.safetensors"), slurp(folder + "/whole/model.safetensors"));
  words.push_back("--resume");  // the options of another job
  words[5] = folder + "/out";
  std::filesystem::create_directories(folder + "/out.partial");
  std::ofstream(folder + "/out.partial/job.txt") << "another";
  words.push_back("--force");
  const Outcome refused = run(words);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("cannot resume"), std::string::npos) << refused.err;
}

TEST(Signals, KilledQuantizationLeavesNoTarget) {
  const std::string folder = scratch();
  const std::vector<std::string> words = {"quantize", demo(),          "--recipe", "w4a16",
                                          "-o",       folder + "/out", "--skip",   "gptq"};
  int killed = 0;
  for (int wait = 5;; wait += wait < 400 ? 8 : wait) {  // in small steps, so that some kills hit the writing
    const Running running = start(words);
    std::this_thread::sleep_for(milliseconds(wait));
    kill(running.pid, SIGKILL);
    if (wait_for(running).code == 0) break;  // it was quicker than the kill
    ++killed;
    // What a kill between the rename and the end leaves is whole.
    if (std::filesystem::exists(folder + "/out")) break;
  }
  EXPECT_GT(killed, 0);
  const Outcome outcome =
      run({"eval", "ppl", folder + "/out", "--text", demo_file("eval.txt"), "--window", "32", "--windows", "1"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST(Signals, ReaderThatHasGoneEndsTheProgramQuietly) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"completion", "bash"},
                                                {"inspect", demo()},
                                                {"generate", demo(), "-p", "a", "-n", "1000000"}}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    close(ends[0]);
    const Running running = start(words, {}, ends[1]);
    close(ends[1]);
    const Outcome outcome = wait_for(running);
    EXPECT_EQ(outcome.code, -SIGPIPE);
    EXPECT_EQ(outcome.err, "");
  }
  const std::string folder = scratch();
  const std::string command =
      QUAMBA2_PROGRAM " inspect " + demo() + " 2> " + folder + "/err | head -1 > " + folder + "/out";
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(slurp(folder + "/err"), "");
  EXPECT_EQ(slurp(folder + "/out"), "model       demo\n");
}

}  // namespace
}  // namespace quamba2::cli
