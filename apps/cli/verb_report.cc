// SPDX-License-Identifier: Apache-2.0
// report: a page that shows what other verbs wrote.
#include <fmt/format.h>
#include <sys/stat.h>

#include "cli.h"
#include "input.h"
#include "json.h"

namespace quamba2::cli {
namespace {

struct ReportArgs {
  std::vector<std::string> inputs;
  std::string output;
  bool force = false;
  ReportOptions options;
};

bool is_directory(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

void check_file_target(const ReportArgs& args) {
  if (is_directory(args.output)) {
    throw Error(ErrorCode::kUsage, "the target is a directory", args.output, "a report is one file",
                "give --output a name as report.html");
  }
  check_target(args.output, args.force);
}

// A model directory stands for what `quantize` wrote into it about its making.
ReportInput read_document(const std::string& input) {
  if (!is_directory(input)) return {input == "-" ? "standard input" : input, read_input(input, "INPUT")};
  const std::string path = (input.back() == '/' ? input : input + "/") + "quantization.json";
  if (!exists(path)) {
    throw Error(ErrorCode::kModelFile, "no report of a quantization", input, "there is no quantization.json in it",
                "give a model that `quantize` wrote, or a file with the JSON of a verb");
  }
  return {path, read_input(path, "INPUT")};
}

int report_verb(Session& s, const ReportArgs& args) {
  check_file_target(args);
  std::vector<ReportInput> inputs;
  for (const std::string& input : args.inputs) inputs.push_back(read_document(input));
  write_report(args.output, inputs, args.options);
  if (s.common.json) {
    Json json;
    json.open_object().field("output", args.output).field("documents", static_cast<int64_t>(inputs.size()));
    s.out.write(json.close().text());
    return 0;
  }
  s.out.write(fmt::format("{}: a page of {} document{}\n", args.output, inputs.size(), inputs.size() == 1 ? "" : "s"));
  return 0;
}

}  // namespace

void add_report_verb(Program* program) {
  auto args = std::make_shared<ReportArgs>();
  CLI::App* verb = add_verb(program, &program->root, "report", "Measure", "show what other verbs measured as a page",
                            "quamba2 compare mamba2-130m mamba2-130m-w4a16 --text wiki.test.txt --json > compare.json\n"
                            "  quamba2 report compare.json mamba2-130m-w4a16 -o report.html",
                            kJson);
  verb->add_option("INPUT", args->inputs, "JSON that a verb wrote, or a directory that quantize wrote; any number")
      ->required();
  verb->add_option("-o,--output", args->output, "HTML file to write; it appears whole or not at all")
      ->required()
      ->option_text("FILE");
  verb->add_option("--title", args->options.title, "of the page (default: made from the model's name)")
      ->option_text("TEXT");
  verb->add_flag("-f,--force", args->force, "replace the output if it is there");
  set_action(program, verb, args, report_verb);
}

}  // namespace quamba2::cli
