// SPDX-License-Identifier: Apache-2.0
// generate --save-state and --load-state: a text that goes on in another process.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "run_program.h"

namespace quamba2::cli {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

const std::string kPrompt = "It was a dark and stormy night, and";

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Ids of a run that must go well.
std::vector<int> ids_of(const Words& words) {
  const Outcome outcome = run(with({"generate"}, with(words, {"--json"})));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.code == 0 ? json::parse(outcome.out)["completions"][0]["ids"].get<std::vector<int>>()
                           : std::vector<int>();
}

TEST(StateFile, ATextGoesOnInAnotherProcessBitForBit) {
  for (const std::string& model : {demo(), quantized("w4a8")}) {
    for (const Words& sampling : {Words{}, Words{"--temperature", "0.9", "--seed", "5", "--top-p", "0.9"}}) {
      const std::string first = scratch() + "/first", second = scratch() + "/second", whole = scratch() + "/whole";
      std::vector<int> ids = ids_of(with({model, "-p", kPrompt, "-n", "20", "--save-state", first}, sampling));
      const std::vector<int> more =
          ids_of(with({model, "-n", "25", "--load-state", first, "--save-state", second}, sampling));
      ids.insert(ids.end(), more.begin(), more.end());
      EXPECT_EQ(ids, ids_of(with({model, "-p", kPrompt, "-n", "45", "--save-state", whole}, sampling)));
      EXPECT_EQ(slurp(second), slurp(whole)) << "states, random numbers and all";
    }
  }
}

TEST(StateFile, APromptThatWasReadBeforeIsTheSame) {
  const std::string file = scratch() + "/state";
  std::string text;  // longer than what is read at once
  for (int i = 0; i < 80; ++i) text += kPrompt + " ";
  const Outcome read = run({"generate", demo(), "-p", text, "-n", "0", "--save-state", file});
  ASSERT_EQ(read.code, 0) << read.err;
  EXPECT_EQ(read.out, text + "\n");
  EXPECT_EQ(ids_of({demo(), "-n", "12", "--load-state", file}), ids_of({demo(), "-p", text, "-n", "12"}));
}

TEST(StateFile, PromptsFollowAndTheTextStreams) {
  const std::string file = scratch() + "/state";
  const Outcome a = run({"generate", demo(), "-p", kPrompt, "-n", "8", "--save-state", file});
  ASSERT_EQ(a.code, 0) << a.err;
  const Outcome b = run({"generate", demo(), "-p", " The captain", "-n", "8", "--load-state", file});
  ASSERT_EQ(b.code, 0) << b.err;
  EXPECT_EQ(b.out.rfind(" The captain", 0), 0u) << b.out;
  EXPECT_NE(b.err.find("prompt 3 tokens"), std::string::npos) << "the last one and the new ones: " << b.err;
  EXPECT_EQ(run({"generate", demo(), "-f", "-", "-n", "8", "--load-state", file}, {" The captain\n", {}, {}}).out,
            b.out);
}

TEST(StateFile, OthersAreRefused) {
  const std::string folder = scratch(), file = folder + "/state";
  ASSERT_EQ(run({"generate", demo(), "-p", kPrompt, "-n", "4", "--save-state", file}).code, 0);
  const Outcome other = run({"generate", quantized("w4a8"), "--load-state", file});
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("state of another model (" + file), std::string::npos) << other.err;
  EXPECT_NE(other.err.find("demo (not quantized)"), std::string::npos) << other.err;
  std::string bytes = slurp(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(folder + "/damaged", std::ios::binary) << bytes;
  const Outcome damaged = run({"generate", demo(), "--load-state", folder + "/damaged"});
  EXPECT_EQ(damaged.code, 3);
  EXPECT_NE(damaged.err.find("checksum"), std::string::npos) << damaged.err;
  EXPECT_EQ(run({"generate", demo(), "--load-state", folder + "/none"}).code, 3);
  EXPECT_EQ(run({"generate", demo(), "--load-state", demo_file("model.safetensors")}).code, 3);
  EXPECT_EQ(run({"generate", demo(), "--load-state", file, "-p", "a", "-p", "b"}).code, 2);
  EXPECT_EQ(run({"generate", demo(), "-p", "a", "--save-state", folder + "/no/where"}).code, 1);
}

TEST(StateFile, AnInterruptedTextIsKept) {
  const std::string file = scratch() + "/state";
  const Running running =
      start({"generate", demo(), "-p", "It was", "-n", "1000000", "--ignore-eos", "--save-state", file});
  for (int i = 0; i < 2000 && slurp(running.out_path).size() < 40; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  kill(running.pid, SIGINT);
  EXPECT_EQ(wait_for(running).code, 130);
  EXPECT_EQ(ids_of({demo(), "-n", "3", "--load-state", file}).size(), 3u);
}

}  // namespace
}  // namespace quamba2::cli
