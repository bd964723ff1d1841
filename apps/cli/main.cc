// SPDX-License-Identifier: Apache-2.0
// The program: parses, runs the verb that was chosen, and turns every failure into one line and an exit code.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "affinity.h"
#include "cli.h"
#include "help.h"
#include "interrupt.h"
#include "suggest.h"

namespace quamba2::cli {
namespace {

constexpr int kInternalFault = static_cast<int>(ErrorCode::kInternal);

Error usage(std::string what, std::string where, std::string why, std::string hint) {
  return Error(ErrorCode::kUsage, std::move(what), std::move(where), std::move(why), std::move(hint));
}

std::string help_hint(const CLI::App* app) {
  const std::string path = path_of(app);
  return "see 'quamba2" + (path.empty() ? "" : " " + path) + " --help'";
}

// Colour is needed before the options are parsed: their errors are printed in it.
std::string colour_of(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--color" && i + 1 < words.size()) return words[i + 1];
    if (words[i].rfind("--color=", 0) == 0) return words[i].substr(8);
  }
  const char* set = std::getenv("QUAMBA2_COLOR");
  return set ? set : "auto";
}

// The command that the first words name.
CLI::App* chosen(CLI::App* app, const std::vector<std::string>& words, size_t at = 0) {
  for (CLI::App* verb : app->get_subcommands([](const CLI::App*) { return true; })) {
    if (at < words.size() && verb->get_name() == words[at]) return chosen(verb, words, at + 1);
  }
  return app;
}

std::vector<std::string> verb_names(const CLI::App* app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app->get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(verb->get_name());
  return names;
}

// Words that nothing took: an option or verb that does not exist, or one argument too many.
void refuse_leftovers(const CLI::App* verb) {
  const std::vector<std::string> left = verb->remaining();
  if (left.empty()) return;
  const std::string word = left[0].substr(0, left[0].find('='));
  const std::string where = path_of(verb);
  if (word.size() > 1 && word[0] == '-') {
    std::vector<std::string> known;
    for (const CLI::Option* option : verb->get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
      for (const std::string& name : option->get_snames()) known.push_back("-" + name);
    }
    const std::string otherwise = where.empty() ? "options follow the verb; " + help_hint(verb) : help_hint(verb);
    throw usage("unknown option '" + word + "'", where, "there is none of that name",
                did_you_mean(word, known, otherwise));
  }
  const std::vector<std::string> verbs = verb_names(verb);
  if (!verbs.empty()) {
    throw usage("unknown verb '" + word + "'", where, "there is none of that name",
                did_you_mean(word, verbs, help_hint(verb)));
  }
  throw usage("unexpected argument '" + left[0] + "'", where, "the verb takes no more of them",
              "quote text that has blanks in it, or " + help_hint(verb));
}

// CLI11 writes "--option: what is wrong"; an option that was not written came from the environment.
Error parse_error(const CLI::ParseError& e, const CLI::App* verb, const std::vector<std::string>& words) {
  std::string text = e.what(), where;
  for (const CLI::Option* option : verb->get_options()) {
    const std::string name = option->get_name();
    if (text.find(name) == std::string::npos) continue;
    where = name;
    const bool written = std::any_of(words.begin(), words.end(), [&](const std::string& word) {
      const std::vector<std::string>& shorts = option->get_snames();
      return word.rfind(name, 0) == 0 || std::any_of(shorts.begin(), shorts.end(),
                                                     [&](const std::string& s) { return word.rfind("-" + s, 0) == 0; });
    });
    if (!option->get_envname().empty() && std::getenv(option->get_envname().c_str()) && !written) {
      where = option->get_envname();
    }
    if (text.rfind(name + ": ", 0) == 0) text.erase(0, name.size() + 2);
    if (dynamic_cast<const CLI::RequiredError*>(&e))
      return usage("missing " + name, path_of(verb), "it is required", help_hint(verb));
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&e))
      return usage("bad value", where, "it takes one value", help_hint(verb));
    if (dynamic_cast<const CLI::ConversionError*>(&e)) {
      const std::vector<std::string>& given = option->results();
      return usage("bad value", where, "'" + (given.empty() ? "" : given.back()) + "' is not a number",
                   help_hint(verb));
    }
  }
  return usage("bad value", where, text, help_hint(verb));
}

void parse(Program* program, const std::vector<std::string>& words, CLI::App* verb) {
  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    program->root.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    throw;
  } catch (const CLI::CallForVersion&) {
    throw;
  } catch (const CLI::ParseError& e) {
    refuse_leftovers(verb);
    throw parse_error(e, verb, words);
  }
  refuse_leftovers(verb);
  if (!program->action) throw usage("no verb given", path_of(verb), "", help_hint(verb));
}

void set_log(Progress* progress, const Common& common, const Terminal& terminal) {
  set_log_sink([progress, &common, &terminal](LogLevel level, std::string_view message) {
    if (level != LogLevel::kWarning && !common.verbose) return;
    const bool warning = level == LogLevel::kWarning;
    progress->note(warning ? styled(terminal.error_colour, Style::kYellow, "warning:") + " " + std::string(message)
                           : std::string(message));
  });
}

int work(Program* program, const Terminal& terminal) {
  Output out;
  Progress progress(terminal, program->common.quiet);
  out.before_write = [&] { progress.clear(); };
  set_log(&progress, program->common, terminal);
  const std::shared_ptr<void> quiet_at_end(nullptr, [](void*) { set_log_sink({}); });
  Session session{program->common, program->root, terminal, out, progress};
  use_processors(program->common.processors);
  const int code = program->action(session);
  out.flush();
  return interrupted() ? 128 + interrupted() : code;
}

int run(const std::vector<std::string>& words, const Terminal& terminal) {
  Program program;
  CLI::App* verb = chosen(&program.root, words);
  use_environment(verb);
  const auto formatter = std::make_shared<HelpFormatter>();
  formatter->colour = terminal.output_colour;
  verb->formatter(formatter);
  Output out;
  try {
    parse(&program, words, verb);
  } catch (const CLI::CallForHelp&) {
    out.write(verb->help());
    out.flush();
    return 0;
  } catch (const CLI::CallForVersion& e) {
    out.write(std::string(e.what()) + "\n");
    out.flush();
    return 0;
  }
  return work(&program, terminal);
}

// One line, whatever the message holds.
int fail(const Terminal& terminal, std::string message, int code) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  const std::string line = styled(terminal.error_colour, Style::kRed, "error:") + " " + message + "\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
  return code;
}

int guarded(std::vector<std::string> words) {
  if (!words.empty() && words[0] == "help") {  // git's habit: `help VERB`
    words.erase(words.begin());
    words.push_back("--help");
  }
  const Terminal terminal = look_at_terminal(colour_of(words));
  try {
    return run(words, terminal);
  } catch (const ReaderGone&) {
    end_by_pipe();
    return 141;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInterrupted && interrupted()) return fail(terminal, "interrupted", 128 + interrupted());
    return fail(terminal, e.what(), static_cast<int>(e.code()));
  } catch (const std::bad_alloc&) {
    return fail(terminal, "out of memory: the machine or a limit gives no more; use a smaller model, batch or recipe",
                static_cast<int>(ErrorCode::kResource));
  } catch (const std::exception& e) {
    return fail(terminal, fmt::format("internal fault: {}; please report it", e.what()), kInternalFault);
  }
}

}  // namespace
}  // namespace quamba2::cli

int main(int argc, char** argv) {
  quamba2::cli::catch_interrupts();
  return quamba2::cli::guarded({argv + (argc > 0), argv + argc});
}
