// SPDX-License-Identifier: Apache-2.0
#include "quantize_options.h"

#include "input.h"
#include "suggest.h"

namespace quamba2::cli {

void add_calibration_options(CLI::App* verb, QuantizeOptions* o, std::string* calibration) {
  verb->add_option("--calib", *calibration,
                   "text to measure activations on (.txt or .jsonl, - for standard input; "
                   "default: calib.txt beside the model)")
      ->option_text("FILE");
  at_least(verb->add_option("--calib-samples", o->calibration_samples, "windows taken from the text (default 128)"), 1);
  at_least(verb->add_option("--calib-window", o->calibration_window, "tokens a window (default 512)"), 2);
  one_of(verb->add_option("--table-bits", o->table_bits,
                          "bits of embedding and head; 16 leaves them (default: the recipe's)"),
         {"4", "6", "8", "16"});
  at_least(verb->add_option("--group", o->group, "columns that share a scale in 4-bit weights (default: the recipe's)"),
           16);
  at_least(verb->add_option("--seed", o->seed, "of every random choice (default 0)"), 0);
}

std::string calibration_file(const std::string& model, const std::string& given, const std::string& recipe) {
  if (!given.empty()) return given;
  const std::string own = model_directory(model) + "/calib.txt";
  if (exists(own)) return own;
  throw Error(ErrorCode::kUsage, "no calibration text", "--calib",
              "recipe " + recipe + " measures activations, and there is no " + own,
              "give a text file of a few hundred kB that is like what the model will read");
}

RecipeInfo find_recipe(const std::string& name) {
  std::vector<std::string> known;
  for (const RecipeInfo& recipe : recipes()) {
    if (recipe.name == name) return recipe;
    known.push_back(recipe.name);
  }
  throw Error(ErrorCode::kUsage, "unknown recipe '" + name + "'", "--recipe", "known are " + listed(known),
              did_you_mean(name, known, "see 'quamba2 recipes'"));
}

}  // namespace quamba2::cli
