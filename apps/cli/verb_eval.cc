// SPDX-License-Identifier: Apache-2.0
// eval ppl: perplexity. compare: two models on the same text, with a gate for scripts.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "cli.h"
#include "input.h"
#include "json.h"
#include "table.h"
#include "units.h"

namespace quamba2::cli {
namespace {

struct EvalArgs {
  std::string model, text;
  int state_every = 0;
  PerplexityOptions options;
};

struct CompareArgs : EvalArgs {
  std::vector<std::string> others;
  std::string device_a;                                            // empty: as the others
  double max_increase = std::numeric_limits<double>::quiet_NaN();  // percent; NaN: no gate
};

EngineOptions engine_of(Session& s, const EvalArgs& args) {
  EngineOptions options = engine_options(s.common);
  options.state_every = args.state_every;
  options.max_tokens = 512;  // on every device: states are rounded once a call
  return options;
}

void perplexity_fields(Json* json, const Perplexity& p) {
  json->field("perplexity", p.perplexity).field("standard_error", p.standard_error);
  json->field("bits_per_byte", p.bits_per_byte).field("nll", p.nll).field("tokens", p.tokens);
  json->field("windows", p.windows).field("predicted", p.predicted).field("seconds", p.seconds);
}

int eval_ppl(Session& s, const EvalArgs& args) {
  const std::string text = read_input(args.text, "--text");
  Engine engine = Engine::load(args.model, engine_of(s, args));
  const Perplexity p = perplexity(engine, text, args.options);
  if (s.common.json) {
    Json json;
    json.open_object().field("model", args.model).field("text", args.text).field("window", args.options.window);
    perplexity_fields(&json, p);
    s.out.write(json.close().text());
    return 0;
  }
  s.out.write(fmt::format("perplexity  {:.4f} ± {:.4f}\nbits/byte   {:.4f}\n", p.perplexity, p.standard_error,
                          p.bits_per_byte));
  s.out.write(fmt::format("text        {}: {} windows of {} tokens, {} predictions\n", args.text, grouped(p.windows),
                          grouped(args.options.window), grouped(p.predicted)));
  s.progress.note(fmt::format("{}; {}", human_seconds(p.seconds), engine.description()));
  return 0;
}

// A model that is compared.
struct Side {
  Side(const std::string& from, const EngineOptions& options)
      : path(from), model(Model::from_pretrained(from)), engine(model, options) {}
  double of_bf16() const { return static_cast<double>(model.weight_bytes()) / static_cast<double>(model.bf16_bytes()); }
  std::string path;
  Model model;
  Engine engine;
};

double increase(const Comparisons& all, const Comparison& c) {
  return 100 * (c.perplexity.perplexity / all.reference.perplexity - 1);
}

// Without a gate everything does; with one a rise that is not a number does not.
bool passes(const CompareArgs& args, double rise) { return std::isnan(args.max_increase) || rise <= args.max_increase; }

void side_fields(Json* json, const Side& m, const Perplexity& p) {
  json->field("model", m.path).field("recipe", m.model.recipe());
  json->field("weight_bytes", m.model.weight_bytes()).field("of_bf16", m.of_bf16());
  perplexity_fields(json, p);
}

std::string comparison_json(const CompareArgs& args, const Side& a, const std::vector<std::unique_ptr<Side>>& others,
                            const Comparisons& all) {
  Json json;
  json.open_object().field("kind", "comparison").field("text", args.text).field("window", args.options.window);
  json.field("max_ppl_increase", args.max_increase).key("a").open_object();
  side_fields(&json, a, all.reference);
  json.close().key("others").open_array();
  for (size_t i = 0; i < others.size(); ++i) {
    const Comparison& c = all.others[i];
    json.open_object();
    side_fields(&json, *others[i], c.perplexity);
    json.field("ppl_increase_percent", increase(all, c)).field("mean_kl", c.mean_kl);
    json.field("kl_standard_error", c.kl_standard_error).field("kl_p99", c.kl_p99).field("kl_max", c.kl_max);
    json.field("same_top_token", c.same_top_token).field("passed", passes(args, increase(all, c))).close();
  }
  return json.close().close().text();
}

std::string comparison_table(Session& s, const Side& a, const std::vector<std::unique_ptr<Side>>& others,
                             const Comparisons& all) {
  Table table;
  table.column("model");
  for (const char* title : {"size", "of BF16", "perplexity", "bits/byte", "change", "mean KL", "same top token"}) {
    table.column(title, Align::kRight);
  }
  const auto row = [&](const Side& m, const Perplexity& p, const std::vector<std::string>& rest) {
    std::vector<std::string> cells = {m.path, human_bytes(m.model.weight_bytes()), fmt::format("{:.3f}x", m.of_bf16()),
                                      fmt::format("{:.4f}", p.perplexity), fmt::format("{:.4f}", p.bits_per_byte)};
    cells.insert(cells.end(), rest.begin(), rest.end());
    table.row(cells);
  };
  row(a, all.reference, {"", "", ""});
  for (size_t i = 0; i < others.size(); ++i) {
    const Comparison& c = all.others[i];
    row(*others[i], c.perplexity,
        {fmt::format("{:+.2f} %", increase(all, c)), fmt::format("{:.5f}", c.mean_kl),
         fmt::format("{:.2f} %", 100 * c.same_top_token)});
  }
  return table.aligned(s.terminal.output_colour);
}

void check_gate(const CompareArgs& args, const std::vector<std::unique_ptr<Side>>& others, const Comparisons& all) {
  for (size_t i = 0; i < others.size(); ++i) {
    const double rise = increase(all, all.others[i]);
    if (passes(args, rise)) continue;
    throw Error(ErrorCode::kQualityGate, "quality gate failed", others[i]->path,
                fmt::format("perplexity rises by {:.2f} %, allowed are {:g} %", rise, args.max_increase));
  }
}

int compare_verb(Session& s, const CompareArgs& args) {
  const std::string text = read_input(args.text, "--text");
  const EngineOptions options = engine_of(s, args);
  EngineOptions options_of_a = options;
  if (!args.device_a.empty()) options_of_a.device = args.device_a;
  Side a(args.model, options_of_a);
  std::vector<std::unique_ptr<Side>> others;
  std::vector<Engine*> engines;
  for (const std::string& path : args.others) {
    others.push_back(std::make_unique<Side>(path, options));
    engines.push_back(&others.back()->engine);
  }
  const Comparisons all = compare(a.engine, engines, text, args.options);
  if (s.common.json) {
    s.out.write(comparison_json(args, a, others, all));
  } else {
    s.out.write(comparison_table(s, a, others, all));
    const Comparison& worst = *std::max_element(all.others.begin(), all.others.end(),
                                                [](const auto& l, const auto& r) { return l.mean_kl < r.mean_kl; });
    s.progress.note(fmt::format("{} windows of {} tokens of {}; KL(A || B) in nats, ± {:.5f}, 99 % below {:.4f}",
                                grouped(all.reference.windows), grouped(args.options.window), args.text,
                                worst.kl_standard_error, worst.kl_p99));
  }
  s.out.flush();
  check_gate(args, others, all);
  return 0;
}

void add_text_options(CLI::App* verb, EvalArgs* args) {
  verb->add_option("--text", args->text, "text to predict (- for standard input)")->required()->option_text("FILE");
  at_least(verb->add_option("--window", args->options.window, "tokens a window (default 2048)"), 2);
  at_least(verb->add_option("--windows", args->options.max_windows, "windows at most (default 0: all of the text)"), 0);
  at_least(verb->add_option("--state-every", args->state_every, "round states every N tokens (default 0: once a call)"),
           0);
}

}  // namespace

void add_eval_verbs(Program* program) {
  CLI::App* eval = add_verb(program, &program->root, "eval", "Measure", "measure the quality of a model",
                            "quamba2 eval ppl mamba2-130m-w4a16 --text wiki.test.txt", 0);
  eval->require_subcommand(0, 1);
  auto ppl = std::make_shared<EvalArgs>();
  CLI::App* verb = add_verb(program, eval, "ppl", "Verbs", "perplexity of a model on a text",
                            "quamba2 eval ppl mamba2-130m-w4a16 --text wiki.test.txt --window 1024",
                            kDevice | kThreads | kTokenizer | kJson);
  verb->add_option("MODEL", ppl->model, "model directory, weights file in one, or org/name")->required();
  add_text_options(verb, ppl.get());
  set_action(program, verb, ppl, eval_ppl);
  add_eval_tasks_verb(program, eval);

  auto several = std::make_shared<CompareArgs>();
  verb = add_verb(program, &program->root, "compare", "Measure", "compare models: size, perplexity, agreement",
                  "quamba2 compare mamba2-130m mamba2-130m-w4a16 --text wiki.test.txt --max-ppl-increase 2",
                  kDevice | kThreads | kTokenizer | kJson);
  verb->add_option("A", several->model, "the model that counts as right")->required();
  verb->add_option("B", several->others, "the models held against it")->required();
  add_text_options(verb, several.get());
  verb->add_option("--device-a", several->device_a, "where A runs, if not where the others do: cpu, reference, ...")
      ->option_text("DEVICE");
  verb->add_option("--max-ppl-increase", several->max_increase,
                   "exit with 5 where the perplexity of a B is higher by more percent")
      ->option_text("PERCENT");
  set_action(program, verb, several, compare_verb);
}

}  // namespace quamba2::cli
