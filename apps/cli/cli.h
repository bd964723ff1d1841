// SPDX-License-Identifier: Apache-2.0
// What the verbs share: options, the place where results go, and how they enter the tree of commands.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "output.h"
#include "progress.h"
#include "quamba2/quamba2.h"
#include "terminal.h"

namespace quamba2::cli {

struct Common {
  int threads = 0;
  std::string device = "cpu", colour = "auto", tokenizer, processors;
  bool quiet = false, verbose = false, json = false;
};

// At hand while a verb works.
struct Session {
  const Common& common;
  const CLI::App& root;
  const Terminal& terminal;
  Output& out;
  Progress& progress;
};

using Action = std::function<int(Session&)>;  // returns the exit code

// The tree of commands, and what the command line chose.
struct Program {
  Program();
  CLI::App root{"Quantize Mamba language models and run them"};
  Common common;
  Action action;  // of the verb that was parsed
};

enum : unsigned { kThreads = 1, kDevice = 2, kJson = 4, kTokenizer = 8 };

// A verb under `parent`: `example` closes its help; `offered` says which common options it has besides -q, -v, --color.
CLI::App* add_verb(Program* program, CLI::App* parent, const std::string& name, const std::string& group,
                   const std::string& summary, const std::string& example, unsigned offered);
// Makes `run` the action where the verb is the last one on the command line; `options` lives as long as the tree.
template <class Options>
void set_action(Program* program, CLI::App* verb, std::shared_ptr<Options> options,
                int (*run)(Session&, const Options&)) {
  verb->callback([program, verb, options, run] {
    if (!verb->get_subcommands().empty()) return;  // of that verb the callback came before
    program->action = [options, run](Session& session) { return run(session, *options); };
  });
}

// An option whose value is one of `known`, or one that `too` takes; others are refused with the nearest.
CLI::Option* one_of(CLI::Option* option, const std::vector<std::string>& known,
                    bool (*too)(const std::string& value) = nullptr);
// An option that may be given again, with one value each time.
CLI::Option* repeated(CLI::Option* option);
// A whole number of at least `least`, a name for it in the help.
CLI::Option* at_least(CLI::Option* option, int64_t least, const std::string& name = "N");

// Lets every option of the verb that was chosen be set by QUAMBA2_<NAME>. Of that verb alone: a value that only another
// verb understands must do no harm.
void use_environment(CLI::App* verb);

// --threads, else OMP_NUM_THREADS, else 0 (all).
int thread_count(const Common& common);
EngineOptions engine_options(const Common& common);
// "mamba2, 12 layers, 7.70 M parameters, w4a16"
std::string describe(const Model& model);

// One function for each group of verbs.
void add_inspect_verbs(Program* program);
void add_quantize_verbs(Program* program);
void add_generate_verb(Program* program);
void add_chat_verb(Program* program);
void add_tokenize_verb(Program* program);
void add_serve_verb(Program* program);
void add_eval_verbs(Program* program);
void add_eval_tasks_verb(Program* program, CLI::App* eval);
void add_bench_verb(Program* program);
void add_bench_serve_verb(Program* program, CLI::App* bench);
void add_report_verb(Program* program);
void add_random_verb(Program* program);
void add_search_verbs(Program* program);
void add_other_verbs(Program* program);

}  // namespace quamba2::cli
