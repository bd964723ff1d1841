// SPDX-License-Identifier: Apache-2.0
// LAMBADA in OpenAI's form: the last word of a passage is to be predicted. A line is {"text"}.
#include <algorithm>

#include "eval/task.h"

namespace quamba2 {
namespace {

TaskItem read(const Record& record) {
  const std::string text = record.text("text");
  const size_t blank = text.rfind(' ');
  if (blank == std::string::npos || blank + 1 == text.size()) record.refuse("'text' has no last word behind a blank");
  TaskItem item;
  item.requests.push_back({"", text.substr(0, blank), text.substr(blank)});
  return item;
}

// Right where greedy decoding gives the word. The perplexity is of whole words, not of tokens.
std::vector<double> judge(const TaskItem&, std::span<const Score> scores) {
  return {scores[0].greedy ? 1.0 : 0.0, scores[0].log_likelihood};
}

}  // namespace

std::vector<Task> lambada_tasks() {
  Task lambada;
  lambada.info = {"lambada", "LAMBADA", "lambada_openai_test.jsonl", "acc", true};
  lambada.metrics = {{"acc"}, {"perplexity", Aggregate::kPerplexity}};
  lambada.reader = plain_reader(read);
  lambada.judge = judge;
  return {lambada};
}

}  // namespace quamba2
