// SPDX-License-Identifier: Apache-2.0
#include "completion.h"

#include <fmt/format.h>

#include <vector>

#include "help.h"

namespace quamba2::cli {
namespace {

std::vector<const CLI::App*> verbs_of(const CLI::App* app) {
  return app->get_subcommands([](const CLI::App*) { return true; });
}

// Every command of the tree that takes options: "", "inspect", "eval", "eval ppl".
void walk(const CLI::App* app, std::vector<const CLI::App*>* out) {
  out->push_back(app);
  for (const CLI::App* verb : verbs_of(app)) walk(verb, out);
}

std::vector<std::string> option_names(const CLI::App* app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_positional()) continue;
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// "auto|always|never" -> its words; nothing for FILE, N and the like.
std::vector<std::string> choices(const CLI::Option* option) {
  const std::string text = option->get_option_text();
  std::vector<std::string> out;
  if (text.find('|') == std::string::npos) return out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('|', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

bool takes_file(const CLI::Option* option) {
  const std::string& text = option->get_option_text();
  return text == "FILE" || text == "DIR" || text == "PATH";
}

std::string quote(const std::string& text) {  // for the inside of single quotes, in every shell
  std::string out;
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out;
}

}  // namespace

std::string bash_completion(const CLI::App& root) {
  std::vector<const CLI::App*> all;
  walk(&root, &all);
  std::string words, values;
  for (const CLI::App* app : all) {
    std::string list;
    for (const CLI::App* verb : verbs_of(app)) list += verb->get_name() + " ";
    words += fmt::format("    '{}') words='{}{}' ;;\n", path_of(app), list, fmt::join(option_names(app), " "));
    for (const CLI::Option* option : app->get_options()) {
      if (!choices(option).empty() && !option->get_positional()) {
        values += fmt::format("    '{} {}') words='{}' ;;\n", path_of(app), option->get_name(),
                              fmt::join(choices(option), " "));
      }
    }
  }
  return "# bash completion of quamba2: source it, or put it into /usr/share/bash-completion/completions/quamba2\n"
         "_quamba2() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} path='' words='' i\n"
         "  for ((i = 1; i < COMP_CWORD && i < 3; i++)); do\n"
         "    case \"$path ${COMP_WORDS[i]}\" in\n"
         "      ' -'*) ;;\n"
         "      ' eval'|'eval ppl') path=\"${path:+$path }${COMP_WORDS[i]}\" ;;\n"
         "      ' '*) path=${COMP_WORDS[i]} ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$path $before\" in\n" +
         values +
         "  esac\n"
         "  if [[ -n $words ]]; then COMPREPLY=($(compgen -W \"$words\" -- \"$word\")); return; fi\n"
         "  case $path in\n" +
         words +
         "  esac\n"
         "  if [[ $word == -* || -z $path || $path == eval ]]; then COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "  else compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
         "}\n"
         "complete -F _quamba2 quamba2\n";
}

std::string zsh_completion(const CLI::App& root) {
  std::vector<const CLI::App*> all;
  walk(&root, &all);
  std::string out =
      "#compdef quamba2\n# zsh completion of quamba2: put it into a folder of $fpath as _quamba2\n_quamba2() {\n"
      "  local path=${words[2]}\n  [[ $path == eval && $CURRENT -gt 3 ]] && path=\"eval ${words[3]}\"\n"
      "  (( CURRENT == 2 )) && path=''\n  case $path in\n";
  for (const CLI::App* app : all) {
    out += fmt::format("    '{}')\n      local -a verbs=(", path_of(app));
    for (const CLI::App* verb : verbs_of(app))
      out += fmt::format("'{}:{}' ", verb->get_name(), quote(verb->get_description()));
    out += ")\n      (( $#verbs )) && _describe verb verbs\n      _arguments -S";
    for (const CLI::Option* option : app->get_options()) {
      if (option->get_positional()) continue;
      std::string description;
      for (const char c : option->get_description()) {  // ':' and brackets are _arguments' own
        if (c == ':' || c == '[' || c == ']') description += '\\';
        description += c;
      }
      const std::string value = option->get_option_text().empty() ? ""
                                : !choices(option).empty() ? fmt::format(":value:({})", fmt::join(choices(option), " "))
                                : takes_file(option)       ? ":file:_files"
                                                           : ":" + option->get_option_text() + ":";
      for (const std::string& name : option->get_lnames()) {
        out += fmt::format(" \\\n        '*--{}[{}]{}'", name, quote(description), quote(value));
      }
    }
    out += " \\\n        '*:file:_files'\n      ;;\n";
  }
  return out + "  esac\n}\n_quamba2 \"$@\"\n";
}

std::string fish_completion(const CLI::App& root) {
  std::vector<const CLI::App*> all;
  walk(&root, &all);
  std::string out = "# fish completion of quamba2: put it into ~/.config/fish/completions/quamba2.fish\n";
  for (const CLI::App* app : all) {
    const bool top = !app->get_parent();
    const std::string when = top ? "__fish_use_subcommand" : "__fish_seen_subcommand_from " + app->get_name();
    for (const CLI::App* verb : verbs_of(app)) {
      out += fmt::format("complete -c quamba2 -f -n '{}' -a {} -d '{}'\n", when, verb->get_name(),
                         quote(verb->get_description()));
    }
    for (const CLI::Option* option : app->get_options()) {
      if (option->get_positional()) continue;
      out += fmt::format("complete -c quamba2 -n '{}'", when);
      for (const std::string& name : option->get_snames()) out += " -s " + name;
      for (const std::string& name : option->get_lnames()) out += " -l " + name;
      if (!choices(option).empty())
        out += fmt::format(" -x -a '{}'", fmt::join(choices(option), " "));
      else if (takes_file(option))
        out += " -r -F";
      else if (!option->get_option_text().empty())
        out += " -x";
      out += fmt::format(" -d '{}'\n", quote(option->get_description()));
    }
  }
  return out;
}

}  // namespace quamba2::cli
