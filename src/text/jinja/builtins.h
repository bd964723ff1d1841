// SPDX-License-Identifier: Apache-2.0
// What templates may call: filters, tests, methods, functions, each by name. All of them throw Error{kUsage} where the
// values do not fit, as Python would raise.
#pragma once

#include <ctime>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace quamba2::jinja {

struct Context {
  Budget budget = {};
  std::time_t now = 0;  // for strftime_now
};

struct Arguments {
  Items positional = {};
  Members named = {};

  // Refuses more than these, other names, and fewer than `required`. `what` is for the message: "the filter \"join\"".
  void check(const std::string& what, std::initializer_list<std::string_view> names, size_t required = 0) const;
  // By place or by name; null where it was not given.
  const Value* get(size_t index, std::string_view name) const;
};

bool known_filter(std::string_view name);
bool known_test(std::string_view name);
bool known_method(std::string_view name);
bool known_function(std::string_view name);
bool has_method(const Value& value, std::string_view name);
// "abs, capitalize, ..."
std::string filter_names();
std::string test_names();
std::string method_names();
std::string function_names();

Value apply_filter(std::string_view name, const Value& value, const Arguments& arguments, Context* context);
bool apply_test(std::string_view name, const Value& value, const Arguments& arguments, Context* context);
Value call_method(std::string_view name, const Value& self, const Arguments& arguments, Context* context);
Value call_function(std::string_view name, const Arguments& arguments, Context* context);
const Value* global_function(std::string_view name);  // as a value: "range is defined"; null where there is none

}  // namespace quamba2::jinja
