// SPDX-License-Identifier: Apache-2.0
// quantize, and recipes.
#include <fmt/format.h>

#include <algorithm>

#include "cli.h"
#include "input.h"
#include "json.h"
#include "quantize_options.h"
#include "table.h"
#include "units.h"

namespace quamba2::cli {
namespace {

struct QuantizeArgs {
  std::string model, output, calibration, layers;
  bool force = false, dry_run = false;
  QuantizeOptions options;
};

std::string change_of_size(uint64_t before, uint64_t after) {
  return fmt::format("{} -> {}, {:.2f} times smaller", human_bytes(before), human_bytes(after),
                     static_cast<double>(before) / static_cast<double>(std::max<uint64_t>(1, after)));
}

void print_dry_run(Session& s, const QuantizeArgs& args, const RecipeInfo& recipe, const Model& model) {
  const QuantizeOptions& o = args.options;
  s.out.write(fmt::format("would quantize  {} ({})\n", args.model, describe(model)));
  s.out.write(fmt::format("recipe          {}: {}\n", recipe.name, recipe.summary));
  if (!o.calibration_text.empty()) {
    s.out.write(fmt::format("calibration     {} windows of {} tokens from {}, seed {}\n", o.calibration_samples,
                            o.calibration_window, human_bytes(o.calibration_text.size()), o.seed));
  }
  s.out.write(fmt::format("output          {}{}\n", args.output, exists(args.output) ? " (replaced)" : ""));
}

void print_report(Session& s, const QuantizeArgs& args, const QuantizeReport& report) {
  std::vector<std::pair<std::string, double>> seconds;  // of each pass, over all parts
  double error = 0, parts = 0;
  for (const PassReport& line : report.passes) {
    auto at = std::find_if(seconds.begin(), seconds.end(), [&](const auto& p) { return p.first == line.pass; });
    if (at == seconds.end()) at = seconds.insert(seconds.end(), {line.pass, 0.0});
    at->second += line.seconds;
    if (line.error >= 0) error += line.error, parts += 1;
  }
  for (const auto& [pass, time] : seconds) s.out.write(fmt::format("{:<20} {:>8}\n", pass, human_seconds(time)));
  if (parts > 0)
    s.out.write(fmt::format("relative output error of a layer: {:.2f} % on average\n", 100 * error / parts));
  if (report.peak_device_bytes > 0)
    s.out.write(fmt::format("memory of {}: {} at most\n", report.device, human_bytes(report.peak_device_bytes)));
  if (report.peak_host_bytes > 0)
    s.out.write(fmt::format("memory of this machine: {} at most\n", human_bytes(report.peak_host_bytes)));
  s.out.write(fmt::format("{}: {}\n", args.output, change_of_size(report.bytes_before, report.bytes_after)));
}

int quantize_verb(Session& s, const QuantizeArgs& given) {
  QuantizeArgs args = given;
  const RecipeInfo recipe = find_recipe(args.options.recipe);
  check_target(args.output, args.force);
  const std::string text = calibration_file(args.model, args.calibration, recipe.name);
  if (!args.layers.empty()) args.options.layers = parse_layers(read_input(args.layers, "--layers"), args.layers);
  args.options.calibration_text = read_input(text, "--calib");
  args.options.threads = thread_count(s.common);
  args.options.device = s.common.device;
  args.options.tokenizer = s.common.tokenizer;
  Model model = Model::from_pretrained(args.model);
  if (args.dry_run) {
    print_dry_run(s, args, recipe, model);
    return 0;
  }
  s.progress.note("quantizing " + args.model + " (" + describe(model) + ") with " + recipe.name + ", calibrated on " +
                  text);
  args.options.work_directory = args.output + ".partial";
  const QuantizeReport report = quantize(model, args.options);
  model.save(args.output, args.force);
  remove_work(args.options.work_directory);
  if (s.common.json)
    s.out.write(to_json(report));
  else
    print_report(s, args, report);
  return 0;
}

struct RecipesArgs {};

std::string recipes_json() {
  Json json;
  json.open_object().key("recipes").open_array();
  for (const RecipeInfo& r : recipes()) {
    json.open_object().field("name", r.name).field("summary", r.summary);
    json.field("needs_calibration", r.needs_calibration).close();
  }
  json.close().key("ingredients").open_array();
  for (const IngredientInfo& i : ingredients()) {
    json.open_object().field("name", i.name).field("summary", i.summary).close();
  }
  return json.close().close().text();
}

int recipes_verb(Session& s, const RecipesArgs&) {
  if (s.common.json) {
    s.out.write(recipes_json());
    return 0;
  }
  Table table;
  for (const char* title : {"recipe", "what it does"}) table.column(title);
  for (const RecipeInfo& r : recipes()) table.row({r.name, r.summary});
  s.out.write(table.aligned(s.terminal.output_colour) + "\n");
  Table parts;
  for (const char* title : {"ingredient", "what it does (the default has all; --with and --without choose)"})
    parts.column(title);
  for (const IngredientInfo& i : ingredients()) parts.row({i.name, i.summary});
  s.out.write(parts.aligned(s.terminal.output_colour));
  return 0;
}

}  // namespace

void add_quantize_verbs(Program* program) {
  auto args = std::make_shared<QuantizeArgs>();
  QuantizeOptions& o = args->options;
  CLI::App* verb = add_verb(program, &program->root, "quantize", "Quantize", "make a model smaller and faster",
                            "quamba2 quantize mamba2-130m --recipe w8a8 --calib text.txt -o mamba2-130m-w8a8",
                            kDevice | kThreads | kTokenizer | kJson);
  verb->add_option("MODEL", args->model, "model directory, weights file in one, or org/name")->required();
  verb->add_option("-r,--recipe", o.recipe, "how to quantize: see 'quamba2 recipes'")
      ->required()
      ->option_text("RECIPE");
  verb->add_option("-o,--output", args->output, "directory to write; it appears whole or not at all")
      ->required()
      ->option_text("DIR");
  add_calibration_options(verb, &o, &args->calibration);
  verb->add_option("--layers", args->layers, "w4ax: JSON list of a recipe a layer, or what 'quamba2 search' wrote")
      ->option_text("FILE");
  one_of(verb->add_option("--preset", o.preset,
                          "paper: as arXiv 2503.22879 describes it; plain: no ingredients (default: default)"),
         {"default", "paper", "plain"});
  repeated(
      verb->add_option("--with", o.with, "add an ingredient to the preset's: see 'quamba2 recipes' (again for more)")
          ->option_text("NAME"));
  repeated(verb->add_option("--without", o.without, "leave an ingredient out (again for more)")->option_text("NAME"));
  verb->add_option("--stop-after", o.stop_after, "write the model as this pass leaves it")->option_text("PASS");
  repeated(verb->add_option("--skip", o.skip, "leave a pass out (again for more)")->option_text("PASS"));
  verb->add_flag("--resume", o.resume, "go on with what a job of the same options left in DIR.partial");
  verb->add_flag("-f,--force", args->force, "replace the output if it is there");
  verb->add_flag("--dry-run", args->dry_run, "say what would be done, and do nothing");
  set_action(program, verb, args, quantize_verb);

  verb = add_verb(program, &program->root, "recipes", "Quantize", "list the recipes and what they are made of",
                  "quamba2 recipes", kJson);
  set_action(program, verb, std::make_shared<RecipesArgs>(), recipes_verb);
}

}  // namespace quamba2::cli
