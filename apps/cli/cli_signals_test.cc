// SPDX-License-Identifier: Apache-2.0
// Interruptions: Ctrl-C, a reader that has gone, and a kill that leaves no time to clean up.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
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
  const Running running = start({"eval", "ppl", demo(), "--text", demo_file("eval.txt"), "--device", "reference"});
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

TEST(Signals, InterruptedQuantizationLeavesNothing) {
  const std::string folder = scratch();
  const Running running =
      start({"quantize", demo(), "--recipe", "w8a8", "-o", folder + "/out", "--calib-samples", "100000"});
  std::this_thread::sleep_for(milliseconds(1500));
  kill(running.pid, SIGINT);
  EXPECT_EQ(wait_for(running).code, 130);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(Signals, KilledQuantizationLeavesNoTarget) {
  const std::string folder = scratch();
  for (int wait = 20; wait <= 1280; wait *= 4) {
    const Running running =
        start({"quantize", demo(), "--recipe", "w4a16", "-o", folder + "/out", "--calib-samples", "64"});
    std::this_thread::sleep_for(milliseconds(wait));
    kill(running.pid, SIGKILL);
    const Outcome outcome = wait_for(running);
    if (outcome.code == 0) {  // it was quicker than the kill: then the target is whole
      EXPECT_EQ(run({"inspect", folder + "/out"}).code, 0);
      return;
    }
    EXPECT_FALSE(std::filesystem::exists(folder + "/out"));
  }
  // A later run is not in the way of what the killed ones left.
  EXPECT_EQ(run({"quantize", demo(), "--recipe", "w4a16", "-o", folder + "/out", "--calib-samples", "1"}).code, 0);
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
