// SPDX-License-Identifier: Apache-2.0
// Runs one task: file, requests, scores, metrics.
#pragma once

#include "eval/encode_pair.h"
#include "eval/task.h"

namespace quamba2 {

// The task of that name. Throws Error{kUsage} that lists the known ones.
const Task& find_task(const std::string& name);

// Overwrites the states of all slots. Throws as evaluate_tasks does (include/quamba2/tasks.h).
TaskResult run_task(Executor& executor, PairEncoder& encoder, const Task& task, const TaskOptions& options);

// The mean of the headlines of the six tasks that papers average, where all are there.
std::optional<double> mean_of_headlines(const std::vector<TaskResult>& results);

}  // namespace quamba2
