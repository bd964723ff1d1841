// SPDX-License-Identifier: Apache-2.0
// Zero-shot and few-shot tasks with the prompts and the scoring of lm-evaluation-harness (docs/tasks.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "quamba2/engine.h"

namespace quamba2 {

struct TaskInfo {
  std::string name, title;  // "arc_challenge", "ARC-Challenge"
  std::string file;         // in TaskOptions::data
  std::string headline;     // the metric that papers print
  bool in_mean = false;     // one of the six that papers average
};
std::vector<TaskInfo> tasks();

struct TaskOptions {
  std::string data = {};                // directory of the jsonl files
  std::vector<std::string> names = {};  // empty: the six that papers average
  int64_t limit = 0;                    // samples a task, the first ones (MMLU: a subject); 0: all
  int shots = -1;                       // examples before a question; -1: the task's own number
  int64_t max_length = 2048;            // tokens; longer contexts lose their beginning
  // 0: contexts are read, then continuations, so that choices share their context. Else requests are read whole, cut at
  // multiples of this (at most EngineOptions::max_tokens), as a service of that chunk reads them: the same bits as there.
  int64_t chunk = 0;
  bool share_prefixes = true;  // read what several continuations follow once; off is slow, and for tests
  bool keep_samples = false;
};

struct TaskMetric {
  std::string name;
  double value = 0, standard_error = 0;  // NaN where one sample has none
};

// A subject, or a category of subjects; of the headline metric.
struct TaskGroup {
  std::string name, category;  // a category's own row has no category
  int64_t samples = 0;
  TaskMetric metric;
};

struct TaskSample {
  int64_t line = 0;  // of the file, from 1
  std::string group;
  int32_t gold = 0;
  std::vector<double> log_likelihoods;  // one a choice
  std::vector<double> values;           // one a metric: 0 or 1, for a perplexity the log-likelihood
};

struct TaskResult {
  TaskInfo task;
  int shots = 0;
  int64_t samples = 0;
  std::vector<TaskMetric> metrics;  // the headline is one of them
  std::vector<TaskGroup> groups;    // MMLU: subjects as they come, then categories
  std::vector<TaskSample> every_sample;
  int64_t tokens_read = 0, tokens_shared = 0;  // shared: not read again
  double seconds = 0;
  const TaskMetric& headline() const;
};

struct TaskReport {
  std::vector<TaskResult> tasks;
  std::optional<double> mean;  // of the headlines, where all six that papers average were run
};

// Uses all slots of the engine, whose states it overwrites. Throws Error{kUsage} for unknown tasks, Error{kModelFile} for
// files that are malformed (naming file and line) or a missing tokenizer, Error{kRuntime} where logits are not finite.
TaskReport evaluate_tasks(Engine& engine, const TaskOptions& options);

}  // namespace quamba2
