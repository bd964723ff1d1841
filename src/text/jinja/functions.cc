// SPDX-License-Identifier: Apache-2.0
// Global functions: Jinja's range, dict and namespace, and those that Hugging Face adds.
#include <algorithm>
#include <ctime>

#include "quamba2/error.h"
#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/utf8.h"

namespace quamba2::jinja {
namespace {

Value range(const Arguments& a, Context* c) {
  constexpr int64_t kMost = 100'000;  // as Jinja's sandbox has it
  a.check("range", {"start", "stop", "step"}, 1);
  if (!a.named.empty()) failed("range takes no named arguments");
  const auto at = [&](size_t i) { return require_whole(a.positional[i], "an argument of range"); };
  const size_t n = a.positional.size();
  const int64_t begin = n > 1 ? at(0) : 0, end = n > 1 ? at(1) : at(0), step = n > 2 ? at(2) : 1;
  if (step == 0) failed("the step of range is zero");
  if (std::max({std::abs(begin / 2), std::abs(end / 2), std::abs(step / 2)}) > int64_t{1} << 60) {
    failed("a number of range is too large");
  }
  const int64_t distance = step > 0 ? end - begin : begin - end;
  const int64_t length = distance <= 0 ? 0 : (distance - 1) / std::abs(step) + 1;
  if (length > kMost) failed("a range of more than 100000 numbers");
  c->budget.elements(static_cast<size_t>(length));
  Items out;
  for (int64_t i = 0; i < length; ++i) out.push_back(begin + i * step);
  return make_list(std::move(out));
}

// dict(a=1), dict(other, a=1); namespace takes the same.
Members members(const std::string& what, const Arguments& a, Context* c) {
  Members out;
  if (a.positional.size() > 1) failed(what + " takes one dict at most");
  if (!a.positional.empty()) {
    if (!a.positional[0].dict()) failed(what + " takes a dict, not " + a.positional[0].type_name());
    out = a.positional[0].dict()->items;
  }
  for (const auto& [name, value] : a.named) {
    const auto at = std::find_if(out.begin(), out.end(), [&, n = name](const auto& item) { return item.first == n; });
    if (at == out.end()) {
      out.emplace_back(name, value);
    } else {
      at->second = value;
    }
  }
  c->budget.elements(out.size());
  return out;
}

Value dict(const Arguments& a, Context* c) { return make_dict(members("dict", a, c)); }

Value name_space(const Arguments& a, Context* c) {
  Members items = members("namespace", a, c);
  make_dict(items);  // refuses namespaces inside
  return std::make_shared<Namespace>(Namespace{std::move(items)});
}

Value raise_exception(const Arguments& a, Context* c) {
  a.check("raise_exception", {"message"}, 1);
  throw Error(ErrorCode::kUsage, "the chat template refuses these messages", "",
              to_text(*a.get(0, "message"), &c->budget));
}

Value strftime_now(const Arguments& a, Context* c) {
  a.check("strftime_now", {"format"}, 1);
  const std::string& format = require_text(*a.get(0, "format"), "format");
  std::tm parts = {};
  localtime_r(&c->now, &parts);
  char buffer[256];
  if (format.size() > 64) failed("a time format of more than 64 bytes");
  return utf8_sanitize({buffer, std::strftime(buffer, sizeof buffer, format.c_str(), &parts)});
}

struct GlobalFunction {
  std::string_view name;
  Value (*run)(const Arguments& a, Context* c);
};

constexpr GlobalFunction kFunctions[] = {{"dict", dict},
                                         {"namespace", name_space},
                                         {"raise_exception", raise_exception},
                                         {"range", range},
                                         {"strftime_now", strftime_now}};

const GlobalFunction* find_function(std::string_view name) {
  const auto* at = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                [&](const GlobalFunction& f) { return f.name == name; });
  return at == std::end(kFunctions) ? nullptr : at;
}

}  // namespace

bool known_function(std::string_view name) { return find_function(name) != nullptr; }

std::string function_names() {
  std::string out;
  for (const GlobalFunction& f : kFunctions) out.append(out.empty() ? "" : ", ").append(f.name);
  return out;
}

Value call_function(std::string_view name, const Arguments& arguments, Context* context) {
  context->budget.step();
  return find_function(name)->run(arguments, context);
}

const Value* global_function(std::string_view name) {
  static const std::vector<Value> kValues = [] {
    std::vector<Value> out;
    for (const GlobalFunction& f : kFunctions) out.push_back(Function{f.name});
    return out;
  }();
  const GlobalFunction* f = find_function(name);
  return f ? &kValues[static_cast<size_t>(f - kFunctions)] : nullptr;
}

}  // namespace quamba2::jinja
