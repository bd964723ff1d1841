// SPDX-License-Identifier: Apache-2.0
// A task: how a line of a file becomes requests, and how their scores become metrics. Families of tasks are in
// eval/tasks/, listed in eval/tasks/index.cc.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "eval/jsonl.h"
#include "eval/score.h"
#include "quamba2/tasks.h"

namespace quamba2 {

// The log-likelihood of `continuation` behind `shared` + `context` is wanted.
struct TextRequest {
  std::string shared, context, continuation;
};

struct TaskItem {
  std::string group;  // MMLU's subject
  std::vector<TextRequest> requests;
  std::vector<double> lengths;  // of the choices in characters: what acc_norm divides by
  int32_t gold = 0;
};

enum class Aggregate { kMean, kPerplexity };  // kPerplexity: exp of minus the mean

struct MetricRule {
  std::string name;
  Aggregate aggregate = Aggregate::kMean;
};

struct Task {
  TaskInfo info;
  std::vector<MetricRule> metrics;
  int shots = 0;           // by default
  std::string shots_file;  // of the examples; empty: the task has none
  // Makes the function that reads a line; `shots_path` is the path of shots_file, `shots` how many examples to put before
  // a question.
  std::function<std::function<TaskItem(const Record&)>(const std::string& shots_path, int shots)> reader;
  // The value of each metric for one item.
  std::vector<double> (*judge)(const TaskItem& item, std::span<const Score> scores) = nullptr;
  std::string (*category)(const std::string& group) = nullptr;  // of a group, where there are any; may be empty
};

const std::vector<Task>& all_tasks();

// The reader of a task without examples.
template <class Read>
auto plain_reader(Read read) {
  return [read](const std::string&, int) { return std::function<TaskItem(const Record&)>(read); };
}

// acc, and acc_norm where the item has lengths. The first of equal choices counts, as in lm-evaluation-harness.
std::vector<double> judge_choices(const TaskItem& item, std::span<const Score> scores);

// Characters (code points) of valid UTF-8: Python's len().
double character_count(const std::string& text);

}  // namespace quamba2
