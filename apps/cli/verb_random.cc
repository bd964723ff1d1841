// SPDX-License-Identifier: Apache-2.0
// random: a checkpoint with the shape of a known model and random weights.
#include <fmt/format.h>

#include "cli.h"
#include "input.h"
#include "json.h"
#include "suggest.h"
#include "units.h"

namespace quamba2::cli {
namespace {

struct RandomArgs {
  std::string output;
  RandomModelOptions options;
};

void check_shape(const std::string& shape) {
  const std::vector<std::string> known = random_model_shapes();
  if (std::find(known.begin(), known.end(), shape) != known.end()) return;
  throw Error(ErrorCode::kUsage, "unknown model shape '" + shape + "'", "MODEL_SHAPE", "known are " + listed(known),
              did_you_mean(shape, known, ""));
}

int random_verb(Session& s, const RandomArgs& args) {
  check_shape(args.options.shape);
  check_target(args.output, args.options.replace);
  const RandomModelReport report = write_random_model(args.output, args.options);
  if (s.common.json) {
    Json json;
    json.open_object().field("output", args.output).field("shape", args.options.shape).field("layers", report.layers);
    json.field("parameters", report.parameters).field("bytes", report.bytes);
    s.out.write(json.close().text());
    return 0;
  }
  s.out.write(fmt::format("{}: {}, {} layers, {} parameters, {}\n", args.output, args.options.shape, report.layers,
                          human_count(report.parameters), human_bytes(report.bytes)));
  return 0;
}

}  // namespace

void add_random_verb(Program* program) {
  auto args = std::make_shared<RandomArgs>();
  CLI::App* verb = add_verb(program, &program->root, "random", "Other",
                            "write a model of random weights, to measure speed and memory",
                            "quamba2 random mamba2-2.7b -o random-2.7b", kJson);
  verb->add_option("MODEL_SHAPE", args->options.shape, "mamba2-130m, mamba2-2.7b, mamba2-8b, mamba-130m, ...")
      ->required();
  verb->add_option("-o,--output", args->output, "directory to write; it appears whole or not at all")
      ->required()
      ->option_text("DIR");
  at_least(verb->add_option("--layers", args->options.layers, "layers (default 0: as many as the model has)"), 0);
  at_least(verb->add_option("--seed", args->options.seed, "the same seed gives the same bytes (default 0)"), 0);
  verb->add_flag("-f,--force", args->options.replace, "replace the output if it is there");
  set_action(program, verb, args, random_verb);
}

}  // namespace quamba2::cli
