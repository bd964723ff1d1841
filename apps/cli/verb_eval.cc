// SPDX-License-Identifier: Apache-2.0
// eval ppl: perplexity. compare: two models on the same text, with a gate for scripts.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "cli.h"
#include "input.h"
#include "json.h"
#include "table.h"
#include "units.h"

namespace quamba2::cli {
namespace {

struct EvalArgs {
  std::string a, b, text;
  double max_increase = std::numeric_limits<double>::quiet_NaN();  // percent; NaN: no gate
  int state_every = 0;
  PerplexityOptions options;
};

EngineOptions engine_of(Session& s, const EvalArgs& args) {
  EngineOptions options = engine_options(s.common);
  options.state_every = args.state_every;
  return options;
}

void perplexity_fields(Json* json, const Perplexity& p) {
  json->field("perplexity", p.perplexity).field("standard_error", p.standard_error);
  json->field("bits_per_byte", p.bits_per_byte).field("nll", p.nll).field("tokens", p.tokens);
  json->field("windows", p.windows).field("predicted", p.predicted).field("seconds", p.seconds);
}

int eval_ppl(Session& s, const EvalArgs& args) {
  const std::string text = read_input(args.text, "--text");
  Engine engine = Engine::load(args.a, engine_of(s, args));
  const Perplexity p = perplexity(engine, text, args.options);
  if (s.common.json) {
    Json json;
    json.open_object().field("model", args.a).field("text", args.text).field("window", args.options.window);
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

// One side of a comparison.
struct Side {
  Side(const std::string& path, const EngineOptions& options)
      : model(Model::from_pretrained(path)), engine(model, options) {}
  double of_bf16() const { return static_cast<double>(model.weight_bytes()) / static_cast<double>(model.bf16_bytes()); }
  Model model;
  Engine engine;
};

double increase(const Comparison& c) { return 100 * (c.b.perplexity / c.a.perplexity - 1); }

std::string comparison_json(const EvalArgs& args, const Side& a, const Side& b, const Comparison& c, bool passed) {
  Json json;
  json.open_object();
  const auto side = [&](const char* key, const std::string& path, const Side& m, const Perplexity& p) {
    json.key(key).open_object().field("model", path).field("recipe", m.model.recipe());
    json.field("weight_bytes", m.model.weight_bytes()).field("of_bf16", m.of_bf16());
    perplexity_fields(&json, p);
    json.close();
  };
  side("a", args.a, a, c.a);
  side("b", args.b, b, c.b);
  json.field("ppl_increase_percent", increase(c))
      .field("mean_kl", c.mean_kl)
      .field("kl_standard_error", c.kl_standard_error);
  json.field("kl_p99", c.kl_p99).field("kl_max", c.kl_max).field("same_top_token", c.same_top_token);
  json.field("max_ppl_increase", args.max_increase).field("passed", passed);
  return json.close().text();
}

std::string comparison_table(Session& s, const EvalArgs& args, const Side& a, const Side& b, const Comparison& c) {
  Table table;
  table.column("model");
  for (const char* title : {"size", "of BF16", "perplexity", "bits/byte", "change", "mean KL", "same top token"}) {
    table.column(title, Align::kRight);
  }
  const auto row = [&](const std::string& path, const Side& m, const Perplexity& p,
                       const std::vector<std::string>& rest) {
    std::vector<std::string> cells = {path, human_bytes(m.model.weight_bytes()), fmt::format("{:.3f}x", m.of_bf16()),
                                      fmt::format("{:.4f}", p.perplexity), fmt::format("{:.4f}", p.bits_per_byte)};
    cells.insert(cells.end(), rest.begin(), rest.end());
    table.row(cells);
  };
  row(args.a, a, c.a, {"", "", ""});
  row(args.b, b, c.b,
      {fmt::format("{:+.2f} %", increase(c)), fmt::format("{:.5f}", c.mean_kl),
       fmt::format("{:.2f} %", 100 * c.same_top_token)});
  return table.aligned(s.terminal.output_colour);
}

int compare_verb(Session& s, const EvalArgs& args) {
  const std::string text = read_input(args.text, "--text");
  const EngineOptions options = engine_of(s, args);
  Side a(args.a, options), b(args.b, options);
  const Comparison c = compare(a.engine, b.engine, text, args.options);
  const bool gated = !std::isnan(args.max_increase);
  const bool passed = !gated || increase(c) <= args.max_increase;  // false too where the perplexity is not a number
  if (s.common.json) {
    s.out.write(comparison_json(args, a, b, c, passed));
  } else {
    s.out.write(comparison_table(s, args, a, b, c));
    s.progress.note(fmt::format("{} windows of {} tokens of {}; KL(A || B) in nats, {:.5f} ± {:.5f}, 99 % below {:.4f}",
                                grouped(c.a.windows), grouped(args.options.window), args.text, c.mean_kl,
                                c.kl_standard_error, c.kl_p99));
  }
  s.out.flush();
  if (!passed) {
    throw Error(ErrorCode::kQualityGate, "quality gate failed", args.b,
                fmt::format("perplexity rises by {:.2f} %, allowed are {:g} %", increase(c), args.max_increase));
  }
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
  verb->add_option("MODEL", ppl->a, "model directory, weights file in one, or org/name")->required();
  add_text_options(verb, ppl.get());
  set_action(program, verb, ppl, eval_ppl);
  add_eval_tasks_verb(program, eval);

  auto pair = std::make_shared<EvalArgs>();
  verb = add_verb(program, &program->root, "compare", "Measure", "compare two models: size, perplexity, agreement",
                  "quamba2 compare mamba2-130m mamba2-130m-w4a16 --text wiki.test.txt --max-ppl-increase 2",
                  kDevice | kThreads | kTokenizer | kJson);
  verb->add_option("A", pair->a, "the model that counts as right")->required();
  verb->add_option("B", pair->b, "the model held against it")->required();
  add_text_options(verb, pair.get());
  verb->add_option("--max-ppl-increase", pair->max_increase,
                   "exit with 5 where B's perplexity is higher by more percent")
      ->option_text("PERCENT");
  set_action(program, verb, pair, compare_verb);
}

}  // namespace quamba2::cli
