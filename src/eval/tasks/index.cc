// SPDX-License-Identifier: Apache-2.0
// The families of tasks, one a file of this folder. A new task is an entry of its family; a new family one name more here.
#include "eval/task.h"

namespace quamba2 {

using Family = std::vector<Task>();
Family lambada_tasks, choice_tasks, winogrande_tasks, mmlu_tasks;

const std::vector<Task>& all_tasks() {
  static const std::vector<Task> all = [] {
    std::vector<Task> out;
    for (Family* family : {lambada_tasks, choice_tasks, winogrande_tasks, mmlu_tasks}) {
      for (Task& task : family()) out.push_back(std::move(task));
    }
    return out;
  }();
  return all;
}

}  // namespace quamba2
