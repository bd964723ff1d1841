// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <fmt/format.h>

#include <cstdlib>

#include "help.h"
#include "suggest.h"
#include "units.h"

namespace quamba2::cli {
namespace {

// --max-ppl-increase reads QUAMBA2_MAX_PPL_INCREASE.
std::string environment_name(const std::string& option) {
  std::string name = "QUAMBA2_";
  for (const char c : option) name += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

}  // namespace

Program::Program() {
  root.name("quamba2");
  root.formatter(std::make_shared<HelpFormatter>());
  root.set_help_flag("-h,--help", "show this help");
  root.set_version_flag("--version", "quamba2 " QUAMBA2_VERSION, "show the version");
  root.footer(
      "Example:\n"
      "  quamba2 quantize mamba2-130m --recipe w4a16 -o mamba2-130m-w4a16\n"
      "  quamba2 generate mamba2-130m-w4a16 -p \"Once upon a time\"\n\n"
      "MODEL is a Hugging Face or state-spaces directory, or org/name of the local Hugging Face cache.\n"
      "Every long option can be set by the environment: --threads by QUAMBA2_THREADS.\n"
      "Exit codes: 0 success, 1 failed, 2 usage, 3 bad model or data file, 4 out of memory or no device,\n"
      "            5 quality gate failed, 130 interrupted.");
  root.require_subcommand(0, 1);
  root.allow_extras();  // so that main can say what was meant
  add_inspect_verbs(this);
  add_quantize_verbs(this);
  add_search_verbs(this);
  add_generate_verb(this);
  add_chat_verb(this);
  add_serve_verb(this);
  add_tokenize_verb(this);
  add_eval_verbs(this);
  add_bench_verb(this);
  add_report_verb(this);
  add_random_verb(this);
  add_other_verbs(this);
}

namespace {

// cuda, or cuda:N.
bool is_gpu(const std::string& device) {
  if (!device.starts_with("cuda")) return false;
  const std::string rest = device.substr(4);
  return rest.empty() || (rest[0] == ':' && rest.size() > 1 && rest.find_first_not_of("0123456789", 1) == rest.npos);
}

}  // namespace

CLI::App* add_verb(Program* program, CLI::App* parent, const std::string& name, const std::string& group,
                   const std::string& summary, const std::string& example, unsigned offered) {
  Common& c = program->common;
  CLI::App* verb = parent->add_subcommand(name, summary);
  verb->group(group);
  verb->allow_extras();
  verb->set_version_flag("--version", "quamba2 " QUAMBA2_VERSION, "show the version")->group("Common options");
  verb->get_help_ptr()->group("Common options");
  if (!example.empty()) verb->footer("Example:\n  " + example);
  const auto common = [](CLI::Option* option) { return option->group("Common options"); };
  if (offered & kTokenizer) {
    common(verb->add_option("--tokenizer", c.tokenizer, "tokenizer directory or file, where the model has none")
               ->option_text("PATH"));
  }
  if (offered & kDevice) {
    common(one_of(
        verb->add_option("--device", c.device, "cpu, cuda:0 for the first GPU, or reference: double precision, slow"),
        {"cpu", "cuda:0", "reference"}, is_gpu));
  }
  if (offered & kThreads) {
    common(at_least(verb->add_option("-t,--threads", c.threads, "threads (default: OMP_NUM_THREADS, else all)"), 0));
  }
  if (offered & (kThreads | kDevice)) {
    common(verb->add_option("--cpus", c.processors, "processors to run on, as 0-3,8 (default: all that it may use)")
               ->option_text("LIST"));
  }
  if (offered & kJson) common(verb->add_flag("--json", c.json, "print JSON"));
  common(verb->add_flag("-q,--quiet", c.quiet, "no progress, notes or warnings"));
  common(verb->add_flag("-v,--verbose", c.verbose, "say more on standard error"));
  common(
      one_of(verb->add_option("--color", c.colour, "when to use colours (default auto)"), {"auto", "always", "never"}));
  return verb;
}

CLI::Option* one_of(CLI::Option* option, const std::vector<std::string>& known, bool (*too)(const std::string&)) {
  const auto check = [known, too](const std::string& value) {
    if (std::find(known.begin(), known.end(), value) != known.end() || (too && too(value))) return std::string();
    const std::string hint = did_you_mean(value, known, "");
    return "'" + value + "' is not " + listed(known) + (hint.empty() ? "" : "; " + hint);
  };
  option->check(CLI::Validator(check, "{" + fmt::format("{}", fmt::join(known, ",")) + "}"));
  return option->option_text(fmt::format("{}", fmt::join(known, "|")));
}

CLI::Option* repeated(CLI::Option* option) { return option->allow_extra_args(false); }

CLI::Option* at_least(CLI::Option* option, int64_t least, const std::string& name) {
  option->check(CLI::Validator(
      [least](const std::string& value) {
        char* end = nullptr;
        errno = 0;
        const long long number = std::strtoll(value.c_str(), &end, 10);
        if (value.empty() || *end != '\0' || errno != 0) return "'" + value + "' is not a whole number";
        return number >= least ? std::string() : fmt::format("{} is less than {}", number, least);
      },
      name));
  return option->option_text(name);
}

void use_environment(CLI::App* verb) {
  for (CLI::Option* option : verb->get_options()) {
    if (!option->get_lnames().empty() && option != verb->get_help_ptr() && option->get_lnames()[0] != "version") {
      option->envname(environment_name(option->get_lnames()[0]));
    }
  }
}

int thread_count(const Common& common) {
  if (common.threads > 0) return common.threads;
  const char* openmp = std::getenv("OMP_NUM_THREADS");  // may be a list for nested regions: the first counts
  return openmp ? std::max(0, std::atoi(openmp)) : 0;
}

EngineOptions engine_options(const Common& common) {
  EngineOptions options;
  options.device = common.device;
  options.threads = thread_count(common);
  options.tokenizer = common.tokenizer;
  return options;
}

std::string describe(const Model& model) {
  return fmt::format("{}, {} layers, {} parameters, {}", model.family(), model.layers(),
                     human_count(model.parameters()), model.recipe().empty() ? "not quantized" : model.recipe());
}

}  // namespace quamba2::cli
