// SPDX-License-Identifier: Apache-2.0
// WinoGrande by partial scoring: which of two beginnings makes the rest of the sentence likelier. A line is
// {"partial_ctx": [a, b], "target", "gold"}; `target` begins with its blank.
#include "eval/task.h"

namespace quamba2 {
namespace {

TaskItem read(const Record& record) {
  TaskItem item;
  const std::string target = record.text("target");
  if (target.find_first_not_of(' ') == std::string::npos) record.refuse("'target' is empty");
  for (const std::string& beginning : record.texts("partial_ctx", 2)) {
    item.requests.push_back({"", beginning, target[0] == ' ' ? target : " " + target});
  }
  item.gold = static_cast<int32_t>(record.index("gold", item.requests.size()));
  return item;
}

}  // namespace

std::vector<Task> winogrande_tasks() {
  Task task;
  task.info = {"winogrande", "WinoGrande", "winogrande_xl_val.jsonl", "acc", true};
  task.metrics = {{"acc"}};
  task.reader = plain_reader(read);
  task.judge = judge_choices;
  return {task};
}

}  // namespace quamba2
