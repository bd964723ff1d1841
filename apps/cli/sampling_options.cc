// SPDX-License-Identifier: Apache-2.0
#include "sampling_options.h"

#include "cli.h"

namespace quamba2::cli {

void add_sampling_options(CLI::App* verb, SamplingOptions* o) {
  const auto option = [&](const std::string& name, auto& value, const std::string& what, const std::string& unit) {
    return verb->add_option(name, value, what)->option_text(unit)->group("Sampling");
  };
  option("--temperature", o->temperature, "0 takes the likeliest token (default), 1 draws as the model says", "T");
  option("--top-k", o->top_k, "draw from the K likeliest tokens only (0: off)", "K");
  option("--top-p", o->top_p, "draw from the likeliest tokens that hold this probability (1: off)", "P");
  option("--min-p", o->min_p, "drop tokens under this share of the likeliest one's probability (0: off)", "P");
  option("--repetition-penalty", o->repetition_penalty, "of tokens in prompt and text (1: off)", "X");
  option("--presence-penalty", o->presence_penalty, "of tokens in the text (0: off)", "X");
  option("--frequency-penalty", o->frequency_penalty, "of tokens in the text, each time (0: off)", "X");
  at_least(option("--seed", o->seed, "the same seed gives the same text (default 0)", "N"), 0);
}

}  // namespace quamba2::cli
