// SPDX-License-Identifier: Apache-2.0
#include "eval/task_runner.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "base/file.h"
#include "base/log.h"
#include "eval/task_metrics.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

// What a sample needs once its texts are tokens.
struct Sample {
  TaskItem item;  // without requests
  int64_t line = 0;
  size_t first = 0, count = 0;  // requests of the tree
};

int shots_of(const Task& task, const TaskOptions& options) {
  if (options.shots < 0) return task.shots;
  if (options.shots == 0 || !task.shots_file.empty()) return options.shots;
  throw Error(ErrorCode::kUsage, "no examples", task.info.name, "there is no file of examples for this task",
              "leave --fewshot away, or ask for 0");
}

std::string path_of(const TaskOptions& options, const Task& task, const std::string& file) {
  const std::string path = join_path(options.data, file);
  if (path_exists(path)) return path;
  throw Error(ErrorCode::kModelFile, "no such file", path, "the task " + task.info.name + " reads it",
              "see docs/tasks.md for the files and their form");
}

std::vector<Sample> read_samples(const Task& task, PairEncoder* encoder, const TaskOptions& options, int shots,
                                 ReadingTree* tree) {
  const std::string path = path_of(options, task, task.info.file);
  const auto read = task.reader(shots > 0 ? path_of(options, task, task.shots_file) : "", shots);
  std::vector<Sample> samples;
  std::map<std::string, int64_t> of_group;
  for_each_record(path, [&](const Record& record) {
    Sample sample{read(record), record.line(), tree->lengths().size(), 0};
    if (options.limit > 0 && of_group[sample.item.group] == options.limit) return task.category != nullptr;
    ++of_group[sample.item.group];
    for (const TextRequest& r : sample.item.requests) {
      try {
        const EncodedPair pair = encoder->encode(r.shared, r.context, r.continuation);
        tree->add(pair.shared, pair.context, pair.continuation);
      } catch (const Error& e) {
        throw e.within(record.where());
      }
    }
    sample.count = sample.item.requests.size();
    sample.item.requests = {};
    samples.push_back(std::move(sample));
    return true;
  });
  if (samples.empty()) throw Error(ErrorCode::kModelFile, "no samples", path, "the file has no lines");
  return samples;
}

// Values of one metric, of the samples of some groups.
std::vector<double> column(const std::vector<TaskSample>& samples, size_t metric,
                           const std::function<bool(const TaskSample&)>& wanted) {
  std::vector<double> out;
  for (const TaskSample& s : samples) {
    if (wanted(s)) out.push_back(s.values[metric]);
  }
  return out;
}

TaskGroup pooled(const std::string& name, const std::vector<TaskGroup>& groups,
                 const std::function<bool(const TaskGroup&)>& wanted) {
  TaskGroup out;
  out.name = name;
  std::vector<std::pair<double, int64_t>> errors;
  for (const TaskGroup& g : groups) {
    if (!wanted(g)) continue;
    out.metric.name = g.metric.name;
    out.samples += g.samples;
    out.metric.value += g.metric.value * static_cast<double>(g.samples);
    errors.emplace_back(g.metric.standard_error, g.samples);
  }
  out.metric.value /= static_cast<double>(out.samples);
  out.metric.standard_error = pooled_standard_error(errors);
  return out;
}

// Subjects, then categories; every sample counts the same.
void add_groups(const Task& task, TaskResult* result) {
  std::vector<std::string> names, categories;
  const auto note = [](std::vector<std::string>* list, const std::string& name) {
    if (!name.empty() && std::find(list->begin(), list->end(), name) == list->end()) list->push_back(name);
  };
  for (const TaskSample& s : result->every_sample) note(&names, s.group);
  std::vector<TaskGroup>& groups = result->groups;
  for (const std::string& name : names) {
    const auto values = column(result->every_sample, 0, [&](const TaskSample& s) { return s.group == name; });
    groups.push_back(
        {name, task.category(name), static_cast<int64_t>(values.size()), aggregate(task.metrics[0], values)});
    note(&categories, groups.back().category);
  }
  const std::vector<TaskGroup> subjects = groups;
  for (const std::string& category : categories) {
    groups.push_back(pooled(category, subjects, [&](const TaskGroup& g) { return g.category == category; }));
  }
  const TaskGroup whole = pooled("", subjects, [](const TaskGroup&) { return true; });
  result->metrics[0].standard_error = whole.metric.standard_error;
}

}  // namespace

const TaskMetric& TaskResult::headline() const {
  for (const TaskMetric& m : metrics) {
    if (m.name == task.headline) return m;
  }
  return metrics.front();
}

const Task& find_task(const std::string& name) {
  std::string known;
  for (const Task& task : all_tasks()) {
    if (task.info.name == name) return task;
    known += (known.empty() ? "" : ", ") + task.info.name;
  }
  throw Error(ErrorCode::kUsage, "unknown task '" + name + "'", "", "there is none of that name", "known are " + known);
}

TaskResult run_task(Executor& executor, PairEncoder& encoder, const Task& task, const TaskOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  TaskResult result;
  result.task = task.info;
  result.shots = shots_of(task, options);
  ReadingTree tree(options.share_prefixes, options.chunk);
  const std::vector<Sample> samples = read_samples(task, &encoder, options, result.shots, &tree);
  const std::vector<Score> scores = score_requests(executor, tree, task.info.name);
  for (const Sample& s : samples) {
    const std::span<const Score> own = std::span(scores).subspan(s.first, s.count);
    TaskSample out{s.line, s.item.group, s.item.gold, {}, task.judge(s.item, own)};
    for (const Score& score : own) out.log_likelihoods.push_back(score.log_likelihood);
    result.every_sample.push_back(std::move(out));
  }
  result.samples = static_cast<int64_t>(samples.size());
  for (size_t m = 0; m < task.metrics.size(); ++m) {
    const auto values = column(result.every_sample, m, [](const TaskSample&) { return true; });
    result.metrics.push_back(aggregate(task.metrics[m], values));
  }
  if (task.category) add_groups(task, &result);
  if (!options.keep_samples) result.every_sample.clear();
  result.tokens_read = tree.tokens();
  result.tokens_shared = tree.tokens_spared();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::optional<double> mean_of_headlines(const std::vector<TaskResult>& results) {
  double sum = 0;
  int wanted = 0, found = 0;
  for (const Task& task : all_tasks()) {
    if (!task.info.in_mean) continue;
    ++wanted;
    for (const TaskResult& r : results) {
      if (r.task.name == task.info.name) sum += r.headline().value, ++found;
    }
  }
  return found == wanted ? std::optional(sum / wanted) : std::nullopt;
}

}  // namespace quamba2
