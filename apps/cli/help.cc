// SPDX-License-Identifier: Apache-2.0
#include "help.h"

#include <algorithm>
#include <cctype>

#include "terminal.h"

namespace quamba2::cli {
namespace {

constexpr size_t kColumn = 32, kWidth = 100;

// `left` in a column, `right` beside it, wrapped.
std::string entry(const std::string& left, const std::string& right) {
  std::string out = "  " + left;
  size_t at = out.size();
  if (at + 2 > kColumn) {
    out += "\n";
    at = 0;
  }
  out += std::string(kColumn - at, ' ');
  size_t used = kColumn, begin = 0;
  while (begin < right.size()) {
    const size_t end = std::min(right.find(' ', begin), right.size());
    if (used + (end - begin) > kWidth && used > kColumn) {
      out += "\n" + std::string(kColumn, ' ');
      used = kColumn;
    }
    if (used > kColumn) {
      out += ' ';
      ++used;
    }
    out += right.substr(begin, end - begin);
    used += end - begin;
    begin = end + 1;
  }
  return out + "\n";
}

bool has_verbs(const CLI::App* app) {
  return !app->get_subcommands([](const CLI::App*) { return true; }).empty();
}

std::string usage(const CLI::App* app) {
  std::string out = "quamba2";
  if (!path_of(app).empty()) out += " " + path_of(app);
  const auto of_place = [](const CLI::Option* option) { return option->get_positional(); };
  if (has_verbs(app) && app->get_options(of_place).empty()) return out + " VERB [OPTIONS]";
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_positional()) {
      const std::string name = option->get_name(true) + (option->get_items_expected_max() > 1 ? "..." : "");
      out += option->get_required() ? " " + name : " [" + name + "]";
    }
  }
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_positional() || !option->get_required()) continue;
    out += " --" + option->get_lnames().front() + " " + option->get_option_text();
  }
  return out + " [OPTIONS]";
}

std::string verbs(const CLI::App* app, bool colour) {
  std::string out;
  std::vector<std::string> groups;
  for (const CLI::App* verb : app->get_subcommands([](const CLI::App*) { return true; })) {
    if (std::find(groups.begin(), groups.end(), verb->get_group()) == groups.end()) groups.push_back(verb->get_group());
  }
  for (const std::string& group : groups) {
    out += "\n" + styled(colour, Style::kBold, group + ":") + "\n";
    for (const CLI::App* verb : app->get_subcommands([](const CLI::App*) { return true; })) {
      if (verb->get_group() != group) continue;
      std::string left = "  " + verb->get_name();
      out += left + std::string(left.size() < 14 ? 14 - left.size() : 2, ' ') + verb->get_description() + "\n";
    }
  }
  return out;
}

}  // namespace

std::string path_of(const CLI::App* app) {
  if (!app->get_parent()) return "";
  const std::string above = path_of(app->get_parent());
  return above.empty() ? app->get_name() : above + " " + app->get_name();
}

std::string option_syntax(const CLI::Option* option) {
  std::string out;
  for (const std::string& name : option->get_snames()) out += (out.empty() ? "-" : ", -") + name;
  for (const std::string& name : option->get_lnames()) out += (out.empty() ? "--" : ", --") + name;
  if (!option->get_option_text().empty()) out += " " + option->get_option_text();
  return out;
}

std::vector<const CLI::Option*> shown_options(const CLI::App* app, const std::string& group) {
  return app->get_options([&](const CLI::Option* o) { return !o->get_positional() && o->get_group() == group; });
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const {
  std::string out = app->get_description();
  out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
  out += ".\n\n" + styled(colour, Style::kBold, "Usage:") + " " + usage(app) + "\n";
  bool first = true;
  for (const CLI::Option* option : app->get_options()) {
    if (!option->get_positional() || option->get_description().empty()) continue;
    if (first) out += "\n";
    first = false;
    out += entry(option->get_name(true), option->get_description());
  }
  out += verbs(app, colour);
  std::vector<std::string> groups = app->get_groups();
  std::stable_partition(groups.begin(), groups.end(),
                        [](const std::string& group) { return group != "Common options"; });
  for (const std::string& group : groups) {
    const auto options = shown_options(app, group);
    if (group.empty() || options.empty()) continue;
    out += "\n" + styled(colour, Style::kBold, group + ":") + "\n";
    for (const CLI::Option* option : options) out += entry(option_syntax(option), option->get_description());
  }
  if (!app->get_footer().empty()) out += "\n" + app->get_footer() + "\n";
  return out;
}

}  // namespace quamba2::cli
