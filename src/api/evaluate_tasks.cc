// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "api/engine_impl.h"
#include "eval/task_runner.h"
#include "quamba2/error.h"
#include "quamba2/tasks.h"

namespace quamba2 {
namespace {

// What an empty context consists of.
int32_t prefix_id(const Engine::Impl& impl) {
  if (impl.tokenizer->bos_id()) return *impl.tokenizer->bos_id();
  if (!impl.eos.empty()) return impl.eos.front();
  throw Error(ErrorCode::kModelFile, "no token begins a text", impl.directory,
              "neither the tokenizer nor the configuration names a token for the begin or the end of a text",
              "add eos_token_id to config.json");
}

std::vector<const Task*> chosen(const TaskOptions& options) {
  std::vector<const Task*> out;
  for (const std::string& name : options.names) out.push_back(&find_task(name));
  if (!out.empty()) return out;
  for (const Task& task : all_tasks()) {
    if (task.info.in_mean) out.push_back(&task);
  }
  return out;
}

}  // namespace

void check_chunk(Engine& engine, int64_t chunk) {
  const int64_t most = engine.impl().executor->limits().max_tokens;
  if (chunk >= 0 && chunk <= most) return;
  throw Error(ErrorCode::kUsage, "chunk out of range", std::to_string(chunk),
              "the engine reads " + std::to_string(most) + " tokens in a call", "raise max_tokens of the engine");
}

std::vector<TaskInfo> tasks() {
  std::vector<TaskInfo> out;
  for (const Task& task : all_tasks()) out.push_back(task.info);
  return out;
}

TaskReport evaluate_tasks(Engine& engine, const TaskOptions& options) {
  if (options.max_length < 1 || options.max_length > (int64_t{1} << 30) || options.limit < 0) {
    throw Error(ErrorCode::kUsage, "task options out of range", "", "max_length is at least 1, limit at least 0");
  }
  check_chunk(engine, options.chunk);
  const std::vector<const Task*> wanted = chosen(options);
  Engine::Impl& impl = engine.impl();
  PairEncoder encoder(engine.tokenizer(), prefix_id(impl), options.max_length);
  impl.last_logits.clear();
  Executor& executor = impl.take_over();
  TaskReport report;
  for (const Task* task : wanted) report.tasks.push_back(run_task(executor, encoder, *task, options));
  for (int slot = 0; slot < engine.max_sequences(); ++slot) engine.reset(slot);
  report.mean = mean_of_headlines(report.tasks);
  return report;
}

}  // namespace quamba2
