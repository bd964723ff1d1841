// SPDX-License-Identifier: Apache-2.0
// eval tasks: LAMBADA, HellaSwag and their like, as lm-evaluation-harness scores them.
#include <fmt/format.h>

#include <cmath>

#include "cli.h"
#include "json.h"
#include "suggest.h"
#include "table.h"
#include "units.h"

namespace quamba2::cli {
namespace {

constexpr uint64_t kStateBudget = uint64_t{256} << 20;  // bytes of the slots' states

struct TasksArgs {
  std::string model, list;
  TaskOptions options;
};

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> known, names;
  for (const TaskInfo& task : tasks()) known.push_back(task.name);
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    const std::string name = list.substr(at, end - at);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw Error(ErrorCode::kUsage, "unknown task '" + name + "'", "--tasks", "there is none of that name",
                  did_you_mean(name, known, "known are " + listed(known)));
    }
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    at = end + 1;
  }
  return names;
}

// Continuations are short: several slots fill a call, but their states must not fill the memory.
int slots_for(const Model& model) {
  return static_cast<int>(std::clamp<uint64_t>(kStateBudget / std::max<uint64_t>(1, model.state_bytes()), 1, 16));
}

void metric_fields(Json* json, const TaskMetric& m) { json->field("value", m.value).field("stderr", m.standard_error); }

void sample_array(Json* json, const TaskResult& r) {
  json->key("samples_list").open_array();
  for (const TaskSample& s : r.every_sample) {
    json->open_object().field("line", s.line);
    if (!s.group.empty()) json->field("group", s.group);
    json->field("gold", static_cast<int64_t>(s.gold)).field("log_likelihoods", s.log_likelihoods);
    json->field("values", s.values).close();
  }
  json->close();
}

std::string report_json(const TasksArgs& args, const Model& model, const TaskReport& report) {
  Json json;
  json.open_object().field("model", args.model).field("recipe", model.recipe());
  json.field("limit", args.options.limit).key("tasks").open_array();
  for (const TaskResult& r : report.tasks) {
    json.open_object().field("task", r.task.name).field("samples", r.samples).field("fewshot", r.shots);
    json.field("headline", r.task.headline).key("metrics").open_object();
    for (const TaskMetric& m : r.metrics) {
      json.key(m.name).open_object();
      metric_fields(&json, m);
      json.close();
    }
    json.close();
    if (!r.groups.empty()) {
      json.key("groups").open_array();
      for (const TaskGroup& g : r.groups) {
        json.open_object().field("group", g.name).field("category", g.category).field("samples", g.samples);
        json.field("metric", g.metric.name);
        metric_fields(&json, g.metric);
        json.close();
      }
      json.close();
    }
    json.field("tokens_read", r.tokens_read).field("tokens_shared", r.tokens_shared).field("seconds", r.seconds);
    if (args.options.keep_samples) sample_array(&json, r);
    json.close();
  }
  json.close();
  if (report.mean) json.field("mean", *report.mean);
  return json.close().text();
}

// Shares as percentages, perplexities as they are.
std::vector<std::string> metric_cells(const TaskMetric& m) {
  const bool share = m.name != "perplexity";
  const auto cell = [&](double v) { return std::isnan(v) ? "-" : fmt::format("{:.2f}", share ? 100 * v : v); };
  return {m.name, cell(m.value), cell(m.standard_error)};
}

std::string report_table(Session& s, const TaskReport& report) {
  Table table;
  table.column("task");
  table.column("n", Align::kRight);
  table.column("metric");
  table.column("value", Align::kRight);
  table.column("stderr", Align::kRight);
  const auto row = [&](const std::string& name, const std::string& n, const TaskMetric& m) {
    std::vector<std::string> cells = {name, n};
    for (std::string& cell : metric_cells(m)) cells.push_back(std::move(cell));
    table.row(std::move(cells));
  };
  for (const TaskResult& r : report.tasks) {
    row(r.task.title, grouped(r.samples), r.headline());
    for (const TaskMetric& m : r.metrics) {
      if (m.name != r.task.headline) row("", "", m);
    }
    for (const TaskGroup& g : r.groups) {
      if (g.category.empty() || s.common.verbose) row("  " + g.name, grouped(g.samples), g.metric);
    }
  }
  if (report.mean) table.row({"mean of the six", "", "", fmt::format("{:.2f}", 100 * *report.mean), ""});
  return table.aligned(s.terminal.output_colour);
}

int eval_tasks(Session& s, const TasksArgs& args) {
  TaskOptions options = args.options;
  options.names = split_list(args.list);
  if (options.keep_samples && !s.common.json) {
    throw Error(ErrorCode::kUsage, "nowhere to put the samples", "--samples", "the table has no room for them",
                "add --json");
  }
  const Model model = Model::from_pretrained(args.model);
  EngineOptions engine_of = engine_options(s.common);
  engine_of.max_sequences = slots_for(model);
  if (options.chunk > 0) engine_of.max_tokens = static_cast<int>(std::max<int64_t>(512, options.chunk));
  Engine engine(model, engine_of);
  const TaskReport report = evaluate_tasks(engine, options);
  if (s.common.json) {
    s.out.write(report_json(args, model, report));
    return 0;
  }
  s.out.write(report_table(s, report));
  double seconds = 0;
  int64_t read = 0, shared = 0;
  for (const TaskResult& r : report.tasks) seconds += r.seconds, read += r.tokens_read, shared += r.tokens_shared;
  s.progress.note(fmt::format("{} tokens read, {} more by sharing, in {}; {}", grouped(read), grouped(shared),
                              human_seconds(seconds), engine.description()));
  return 0;
}

}  // namespace

void add_eval_tasks_verb(Program* program, CLI::App* eval) {
  auto args = std::make_shared<TasksArgs>();
  CLI::App* verb =
      add_verb(program, eval, "tasks", "Verbs", "accuracy on LAMBADA, HellaSwag and their like",
               "quamba2 eval tasks mamba2-130m-w4a16 --data eval --limit 500", kDevice | kThreads | kTokenizer | kJson);
  verb->add_option("MODEL", args->model, "model directory, weights file in one, or org/name")->required();
  verb->add_option("--data", args->options.data, "directory with the tasks' jsonl files")
      ->required()
      ->option_text("DIR");
  verb->add_option("--tasks", args->list,
                   "lambada, hellaswag, piqa, arc_easy, arc_challenge, winogrande, mmlu (default: the first six)")
      ->option_text("LIST");
  at_least(verb->add_option("--limit", args->options.limit,
                            "samples a task, the first ones; for mmlu a subject (default 0: all)"),
           0);
  at_least(verb->add_option("--fewshot", args->options.shots, "examples before a question, mmlu only (default 5)"), 0,
           "K");
  at_least(verb->add_option("--max-length", args->options.max_length,
                            "tokens at most; longer contexts lose their beginning (default 2048)"),
           2);
  at_least(verb->add_option("--chunk", args->options.chunk,
                            "read requests whole in pieces of so many tokens, as 'serve --chunk' does (default 0: "
                            "contexts, then continuations)"),
           0);
  verb->add_flag("--samples", args->options.keep_samples, "with --json: log-likelihoods of every sample");
  set_action(program, verb, args, eval_tasks);
}

}  // namespace quamba2::cli
