// SPDX-License-Identifier: Apache-2.0
// search: a recipe for every layer. ablation: what each ingredient is worth.
#include <fmt/format.h>

#include <algorithm>

#include "input.h"
#include "quantize_options.h"
#include "suggest.h"
#include "table.h"
#include "units.h"

namespace quamba2::cli {
namespace {

struct Experiment {
  std::string model, output, calibration, text;
  bool force = false;
};

struct SearchArgs : Experiment {
  std::string choices = "w4a8,w4a16,w8a8", most_bytes;
  double least_prefill = 0, least_decode = 0;
  SearchOptions options;
};

struct AblationArgs : Experiment {
  AblationOptions options;
};

std::string partial_of(const std::string& output) { return output + ".partial"; }

void add_experiment_options(CLI::App* verb, Experiment* args, QuantizeOptions* quantize, PerplexityOptions* windows) {
  verb->add_option("MODEL", args->model, "model directory, weights file in one, or org/name")->required();
  verb->add_option("--text", args->text, "text to measure KL divergence on (- for standard input)")
      ->required()
      ->option_text("FILE");
  add_calibration_options(verb, quantize, &args->calibration);
  at_least(verb->add_option("--window", windows->window,
                            fmt::format("tokens a window of the text (default {})", windows->window)),
           2);
  at_least(verb->add_option("--windows", windows->max_windows,
                            fmt::format("windows of the text (default {})", windows->max_windows)),
           1);
  verb->add_flag("--resume", quantize->resume, "go on with what a job of the same options left in FILE.partial");
  verb->add_flag("-f,--force", args->force, "replace the output if it is there");
}

// Reads the texts and sets what the command line has said.
void prepare(Session& s, const Experiment& args, QuantizeOptions* quantize, std::string* text) {
  check_target(args.output, args.force);
  const std::string calibration = calibration_file(args.model, args.calibration, quantize->recipe);
  quantize->calibration_text = read_input(calibration, "--calib");
  quantize->threads = thread_count(s.common);
  quantize->tokenizer = s.common.tokenizer;
  quantize->work_directory = partial_of(args.output);
  *text = read_input(args.text, "--text");
}

// "45MB", "0.35x" of 16-bit weights, or bytes.
double parse_size(const std::string& text, const Model& model) {
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  const std::pair<const char*, double> units[] = {
      {"", 1}, {"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"x", static_cast<double>(model.bf16_bytes())}};
  for (const auto& [name, factor] : units) {
    if (used > 0 && value > 0 && unit == name) return value * factor;
  }
  throw Error(ErrorCode::kUsage, "bad size", "--max-size", "'" + text + "' is no size",
              "give bytes, as 45MB or 1.2GB, or a share of 16-bit weights, as 0.35x");
}

void set_budget(const SearchArgs& args, const Model& model, SearchOptions* options) {
  const int given = !args.most_bytes.empty() + (args.least_prefill > 0) + (args.least_decode > 0);
  if (given != 1) {
    throw Error(ErrorCode::kUsage, given ? "more than one budget" : "no budget", "search",
                "a search needs one limit to look within", "give --max-size, --min-prefill or --min-decode");
  }
  if (!args.most_bytes.empty()) options->budget = Budget::kSize, options->limit = parse_size(args.most_bytes, model);
  if (args.least_prefill > 0) options->budget = Budget::kPrefill, options->limit = args.least_prefill;
  if (args.least_decode > 0) options->budget = Budget::kDecode, options->limit = args.least_decode;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    out.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

std::string layers_text(const std::vector<std::string>& layers) {
  std::string out;
  for (size_t i = 0; i < layers.size();) {
    size_t j = i;
    while (j < layers.size() && layers[j] == layers[i]) ++j;
    out +=
        (out.empty() ? "" : ", ") + (j - i > 1 ? fmt::format("{}-{} ", i, j - 1) : fmt::format("{} ", i)) + layers[i];
    i = j;
  }
  return out;
}

std::string search_table(Session& s, const SearchReport& report) {
  Table table;
  table.column("layers");
  for (const char* title : {"size", "mean KL", "prefill t/s", "decode t/s"}) table.column(title, Align::kRight);
  const auto row = [&](const std::string& name, const SearchPoint& p) {
    table.row({name, human_bytes(static_cast<uint64_t>(p.weight_bytes)), fmt::format("{:.5f}", p.mean_kl),
               grouped(static_cast<int64_t>(p.prefill)), grouped(static_cast<int64_t>(p.decode))});
  };
  for (const SearchPoint& p : report.uniform) row("all " + p.layers.front(), p);
  for (const SearchPoint& p : report.front) row("front: " + p.name, p);
  row("best within the budget", report.best);
  return table.aligned(s.terminal.output_colour);
}

int search_verb(Session& s, const SearchArgs& args) {
  SearchOptions options = args.options;
  options.quantize.recipe = "w4ax";
  const Model model = Model::from_pretrained(args.model);
  set_budget(args, model, &options);
  options.choices = split(args.choices);
  prepare(s, args, &options.quantize, &options.text);
  const SearchReport report = search(model, options);
  write_text_file(args.output, to_json(report));
  remove_work(options.quantize.work_directory);
  if (s.common.json) {
    s.out.write(to_json(report));
    return 0;
  }
  s.out.write(search_table(s, report));
  s.out.write(fmt::format("{}: {}\n", args.output, layers_text(report.best.layers)));
  s.progress.note(fmt::format("{} lists measured; now: quamba2 quantize {} --recipe w4ax --layers {} -o DIR",
                              grouped(report.evaluated), args.model, args.output));
  return 0;
}

std::string ablation_table(Session& s, const AblationReport& report) {
  Table table;
  table.column("recipe " + report.recipe);
  for (const char* title : {"size", "of BF16", "perplexity", "change", "mean KL", "layer error", "time"})
    table.column(title, Align::kRight);
  table.row({"unquantized", "", "", fmt::format("{:.4f}", report.reference.perplexity), "", "", "", ""});
  for (const AblationRow& row : report.rows) {
    const double perplexity = row.comparison.perplexity.perplexity;
    table.row({row.name, human_bytes(row.weight_bytes), fmt::format("{:.3f}x", row.of_bf16),
               fmt::format("{:.4f}", perplexity),
               fmt::format("{:+.2f} %", 100 * (perplexity / report.reference.perplexity - 1)),
               fmt::format("{:.5f}", row.comparison.mean_kl),
               row.layer_error > 0 ? fmt::format("{:.2f} %", 100 * row.layer_error) : "", human_seconds(row.seconds)});
  }
  return table.aligned(s.terminal.output_colour);
}

int ablation_verb(Session& s, const AblationArgs& args) {
  AblationOptions options = args.options;
  find_recipe(options.quantize.recipe);
  const Model model = Model::from_pretrained(args.model);
  prepare(s, args, &options.quantize, &options.text);
  const AblationReport report = ablate(model, options);
  write_text_file(args.output, to_json(report));
  remove_work(options.quantize.work_directory);
  s.out.write(s.common.json ? to_json(report) : ablation_table(s, report));
  return 0;
}

void add_search_verb(Program* program) {
  auto args = std::make_shared<SearchArgs>();
  CLI::App* verb = add_verb(program, &program->root, "search", "Quantize", "find a recipe for every layer (w4ax)",
                            "quamba2 search mamba2-130m --max-size 0.4x --text dev.txt --calib text.txt -o layers.json",
                            kThreads | kTokenizer | kJson);
  add_experiment_options(verb, args.get(), &args->options.quantize, &args->options.windows);
  verb->add_option("-o,--output", args->output, "JSON file to write, for --layers of quantize, and for report")
      ->required()
      ->option_text("FILE");
  verb->add_option("--max-size", args->most_bytes, "bytes of the weights: 45MB, or 0.4x of 16 bits")
      ->option_text("SIZE");
  verb->add_option("--min-prefill", args->least_prefill, "tokens a second of a prompt")->option_text("N");
  verb->add_option("--min-decode", args->least_decode, "tokens a second of one sequence")->option_text("N");
  verb->add_option("--choices", args->choices, "recipes to choose from (default w4a8,w4a16,w8a8)")->option_text("LIST");
  at_least(verb->add_option("--population", args->options.population, "lists a generation (default 16)"), 2);
  at_least(verb->add_option("--generations", args->options.generations, "generations (default 12)"), 0);
  set_action(program, verb, args, search_verb);
}

void add_ablation_verb(Program* program) {
  auto args = std::make_shared<AblationArgs>();
  args->options.windows = {.window = 2048, .max_windows = 24};
  CLI::App* verb =
      add_verb(program, &program->root, "ablation", "Measure", "what each ingredient of a recipe is worth",
               "quamba2 ablation mamba2-130m --recipe w4a8 --text test.txt --calib text.txt -o ablation.json",
               kThreads | kTokenizer | kJson);
  add_experiment_options(verb, args.get(), &args->options.quantize, &args->options.windows);
  verb->add_option("-r,--recipe", args->options.quantize.recipe, "see 'quamba2 recipes'")
      ->required()
      ->option_text("RECIPE");
  verb->add_option("-o,--output", args->output, "JSON file to write, for report")->required()->option_text("FILE");
  set_action(program, verb, args, ablation_verb);
}

}  // namespace

void add_search_verbs(Program* program) {
  add_search_verb(program);
  add_ablation_verb(program);
}

}  // namespace quamba2::cli
