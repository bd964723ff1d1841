// SPDX-License-Identifier: Apache-2.0
// Tasks whose lines hold the prompt as it is: {"ctx", "choices", "gold"}. The likeliest choice behind the context wins.
#include "eval/task.h"

namespace quamba2 {
namespace {

TaskItem read(const Record& record) {
  TaskItem item;
  const std::string context = record.text("ctx");
  for (const std::string& choice : record.texts("choices", 2)) {
    if (choice.empty()) record.refuse("'choices' holds an empty text");
    item.requests.push_back({"", context, " " + choice});
    item.lengths.push_back(character_count(choice));
  }
  item.gold = static_cast<int32_t>(record.index("gold", item.requests.size()));
  return item;
}

Task task(const char* name, const char* title, const char* file, const char* headline) {
  Task task;
  task.info = {name, title, file, headline, true};
  task.metrics = {{"acc"}, {"acc_norm"}};
  task.reader = plain_reader(read);
  task.judge = judge_choices;
  return task;
}

}  // namespace

std::vector<Task> choice_tasks() {
  return {task("hellaswag", "HellaSwag", "hellaswag_val.jsonl", "acc_norm"),
          task("piqa", "PIQA", "piqa_val.jsonl", "acc"), task("arc_easy", "ARC-Easy", "arc_easy_test.jsonl", "acc"),
          task("arc_challenge", "ARC-Challenge", "arc_challenge_test.jsonl", "acc_norm")};
}

}  // namespace quamba2
