// SPDX-License-Identifier: Apache-2.0
// For tests: reads a page of ours as a browser would and says what is wrong with it.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2::report {

// The first thing that is wrong, with the place; empty where nothing is. Elements must be closed in order; none but those
// that the page is made of, with the attributes that they may have; references lead into the page; numbers are numbers.
inline std::string markup_problem(std::string_view html) {
  static const std::set<std::string, std::less<>> kElements = {
      "html",    "head",    "meta", "title",   "style", "body",   "h1",    "h2",    "h3",    "p",  "nav",
      "ul",      "li",      "a",    "section", "div",   "table",  "thead", "tbody", "tr",    "th", "td",
      "details", "summary", "svg",  "path",    "g",     "circle", "rect",  "text",  "footer"};
  static const std::set<std::string, std::less<>> kAttributes = {
      "lang",  "charset", "http-equiv", "content",    "name", "id", "class", "href", "scope", "open", "viewBox",
      "width", "height",  "role",       "aria-label", "d",    "x",  "y",     "cx",   "cy",    "r",    "text-anchor"};
  const auto problem = [&](size_t at, const std::string& what) {
    return what + " at byte " + std::to_string(at) + ": " + std::string(html.substr(at, 80));
  };
  std::vector<std::string> open;
  size_t at = html.find("<html");
  if (html.rfind("<!DOCTYPE html>\n", 0) != 0 || at != 16) return problem(0, "no doctype");
  while (true) {
    at = html.find('<', at);
    if (at == std::string_view::npos) return open.empty() ? "" : "not closed: " + open.back();
    const bool closing = html.substr(at + 1, 1) == "/";
    size_t i = at + 1 + closing;
    const size_t name_end = html.find_first_of(" >/", i);
    const std::string name(html.substr(i, name_end - i));
    if (!kElements.count(name)) return problem(at, "element <" + name + ">");
    i = name_end;
    while (html.substr(i, 1) == " ") {
      const size_t key_end = html.find_first_of("= >", i + 1);
      const std::string key(html.substr(i + 1, key_end - i - 1));
      if (!kAttributes.count(key)) return problem(at, "attribute " + key);
      i = key_end;
      if (html.substr(i, 1) != "=") continue;
      if (html.substr(i + 1, 1) != "\"") return problem(at, "value without quotes");
      const size_t end = html.find('"', i + 2);
      const std::string_view value = html.substr(i + 2, end - i - 2);
      if (value.find('<') != std::string_view::npos) return problem(at, "< in a value");
      if (key == "href" && value.substr(0, 1) != "#") return problem(at, "a reference out of the page");
      static const std::set<std::string, std::less<>> kNumeric = {"d", "x",     "y",      "cx",     "cy",
                                                                  "r", "width", "height", "viewBox"};
      if (kNumeric.count(key) && name != "meta" &&
          (value.find("nan") != std::string_view::npos || value.find("inf") != std::string_view::npos)) {
        return problem(at, "a coordinate that is none");
      }
      i = end + 1;
    }
    const bool empty = html.substr(i, 2) == "/>";
    if (html.substr(i + empty, 1) != ">") return problem(at, "a tag that does not end");
    if (closing) {
      if (open.empty() || open.back() != name)
        return problem(at, "</" + name + "> closes <" + (open.empty() ? "" : open.back()) + ">");
      open.pop_back();
    } else if (!empty && name != "meta") {
      open.push_back(name);
    }
    at = i + empty + 1;
    if (!closing && name == "style") at = html.find("</style>", at);
  }
}

}  // namespace quamba2::report
