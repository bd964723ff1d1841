// SPDX-License-Identifier: Apache-2.0
// chat, as a script and as a user who presses Ctrl-C meet it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "run_program.h"

namespace quamba2::cli {
namespace {

using Words = std::vector<std::string>;

Outcome chat(const std::string& input, const Words& more = {}) {
  Words words = {"chat", demo(), "-n", "12", "--template", "plain"};
  words.insert(words.end(), more.begin(), more.end());
  return run(words, {input, {}, {}});
}

// Of "first text after ...; read N tokens; ..." lines, N in order.
std::vector<int> tokens_read(const std::string& err) {
  std::vector<int> out;
  for (size_t at = err.find("; read "); at != std::string::npos; at = err.find("; read ", at + 1)) {
    std::string number = err.substr(at + 7, err.find(' ', at + 7) - at - 7);
    number.erase(std::remove(number.begin(), number.end(), ','), number.end());
    out.push_back(std::stoi(number));
  }
  return out;
}

TEST(Chat, AScriptGetsAnswersAlone) {
  const Outcome outcome = chat("Who is there?\n\nAnd what do you want?\n");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_GT(outcome.out.size(), 20u);
  EXPECT_EQ(outcome.out.back(), '\n');
  EXPECT_EQ(outcome.out.find("> "), std::string::npos) << "no prompts for a pipe";
  EXPECT_EQ(chat("Who is there?\n\nAnd what do you want?\n/quit\nnot said\n").out, outcome.out);
}

// The first answer is what the template's text gives.
TEST(Chat, TheTemplateIsApplied) {
  const std::string text = "Be brief.\n\nUser: Who is there?\nAssistant:";
  const Outcome whole = run({"generate", demo(), "-p", text, "-n", "12", "--no-echo", "--stop", "\nUser:"});
  EXPECT_EQ(chat("Who is there?\n", {"--system", "Be brief."}).out, whole.out);
  EXPECT_EQ(chat("not said\n/system Be brief.\nWho is there?\n").out.ends_with(whole.out), true);
}

TEST(Chat, HistoryIsNotReadAgain) {
  std::string talk;
  for (int i = 0; i < 120; ++i) talk += "The captain said that the ship was lost. ";
  const Outcome outcome = chat(talk + "\nWhy?\n/regenerate\nWhere?\n", {"-v"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::vector<int> read = tokens_read(outcome.err);
  ASSERT_EQ(read.size(), 4u) << outcome.err;
  EXPECT_GT(read[0], 1000);
  for (size_t i = 1; i < 4; ++i) EXPECT_LT(read[i], 20) << outcome.err;
}

TEST(Chat, WhatWasSaidCounts) {
  const std::string with_history = chat("The captain's name is Nemo.\nWho is he?\n").out;
  const std::string without = chat("The captain's name is Nemo.\n/reset\nWho is he?\n").out;
  EXPECT_NE(with_history, without);
  EXPECT_TRUE(without.ends_with(chat("Who is he?\n").out)) << without;
}

TEST(Chat, RegenerateAnswersFromTheStateBefore) {
  const std::string once = chat("Hello\nWho is there?\n").out, again = chat("Hello\nWho is there?\n/regenerate\n").out;
  const std::string first = chat("Hello\n").out, last = once.substr(first.size());
  EXPECT_EQ(again, once + last) << "greedy: the same once more";
  const Words drawn = {"--temperature", "1.5", "--seed", "3"};
  const std::string two = chat("Hello\n/regenerate\n", drawn).out, one = chat("Hello\n", drawn).out;
  EXPECT_NE(two, one + one) << "random numbers go on";
}

TEST(Chat, SavedConversationsGoOnElsewhere) {
  const std::string file = scratch() + "/talk";
  const Words sampled = {"--temperature", "0.8", "--seed", "9"};
  const std::string whole = chat("Hello there\nWho are you?\nWhy?\n", sampled).out;
  const std::string begin = chat("Hello there\nWho are you?\n/save " + file + "\n", sampled).out;
  ASSERT_TRUE(std::filesystem::exists(file));
  EXPECT_EQ(begin + chat("/load " + file + "\nWhy?\n", sampled).out, whole);
  EXPECT_EQ(begin + chat("Why?\n", {"--temperature", "0.8", "--seed", "9", "--load-state", file}).out, whole);
  EXPECT_EQ(chat("/load " + file + "\n/save " + file + "2\n").code, 0);
  EXPECT_EQ(slurp(file), slurp(file + "2"));
}

TEST(Chat, MessagesOfSeveralLines) {
  const std::string block = chat("\"\"\"\nfirst\nsecond\n\"\"\"\n").out;
  EXPECT_EQ(chat("first\\\nsecond\n").out, block);
  EXPECT_NE(chat("first\nsecond\n").out, block);
  EXPECT_EQ(chat("//help\n").code, 0);
  EXPECT_NE(chat("//help\n").out.find("\n"), std::string::npos);
  EXPECT_EQ(chat("no newline at the end").out, chat("no newline at the end\n").out);
}

TEST(Chat, MistakesEndAScript) {
  const std::string folder = scratch();
  std::ofstream(folder + "/bad.jinja") << "{% macro x() %}{% endmacro %}";
  EXPECT_EQ(chat("/sav x\n").code, 2);
  EXPECT_NE(chat("/sav x\n").err.find("did you mean '/save'?"), std::string::npos);
  EXPECT_EQ(chat("/save\n").code, 2);
  EXPECT_EQ(chat("/regenerate\n").code, 2);
  EXPECT_EQ(chat("/load " + folder + "/none\n").code, 3);
  EXPECT_EQ(run({"chat", demo(), "--template", folder + "/bad.jinja"}, {"Hello\n", {}, {}}).code, 3);
  ASSERT_EQ(run({"generate", demo(), "-p", "a", "-n", "2", "--save-state", folder + "/text"}).code, 0);
  const Outcome other = chat("/load " + folder + "/text\n");
  EXPECT_EQ(other.code, 3);
  EXPECT_NE(other.err.find("no conversation"), std::string::npos) << other.err;
  EXPECT_EQ(chat("/help\n").out.rfind("/help", 0), 0u);
}

TEST(Chat, WithoutATemplateItSaysSo) {
  const Outcome plain = run({"chat", demo(), "-n", "12"}, {"Hello\n", {}, {}});
  EXPECT_EQ(plain.code, 0);
  EXPECT_NE(plain.err.find("no chat template"), std::string::npos) << plain.err;
  EXPECT_EQ(plain.out, chat("Hello\n").out);
  EXPECT_EQ(run({"chat", demo(), "-n", "12", "-q"}, {"Hello\n", {}, {}}).err, "");
}

// Ctrl-C ends the answer and keeps it; at the prompt it ends the program.
TEST(Chat, InterruptsStopTheAnswerThenTheProgram) {
  const std::string folder = scratch();
  ASSERT_EQ(mkfifo((folder + "/in").c_str(), 0600), 0);
  const std::string command = std::string("exec " QUAMBA2_PROGRAM " chat ") + demo() +
                              " --template plain -v -n 1000000 <" + folder + "/in >" + folder + "/out 2>" + folder +
                              "/err";
  const pid_t pid = fork();
  if (pid == 0) {
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  std::ofstream in(folder + "/in");
  const auto wait_for_text = [&](const std::string& name, auto&& good) {
    for (int i = 0; i < 3000 && !good(slurp(folder + "/" + name)); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  };
  in << "Hello" << std::endl;
  wait_for_text("out", [](const std::string& text) { return text.size() > 40; });
  kill(pid, SIGINT);
  wait_for_text("err", [](const std::string& text) { return tokens_read(text).size() == 1; });
  ASSERT_EQ(tokens_read(slurp(folder + "/err")).size(), 1u) << slurp(folder + "/err");
  in << "/save " << folder << "/talk" << std::endl;
  wait_for_text("err", [](const std::string& text) { return text.find("saved to") != std::string::npos; });
  EXPECT_TRUE(std::filesystem::exists(folder + "/talk"));
  const std::string said = slurp(folder + "/out");
  kill(pid, SIGINT);
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_GT(said.size(), 40u);
  EXPECT_EQ(chat("/load " + folder + "/talk\nGo on\n").code, 0);
}

}  // namespace
}  // namespace quamba2::cli
