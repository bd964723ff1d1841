// SPDX-License-Identifier: Apache-2.0
// Python's operators on values of a template. They throw Error{kUsage} where Python would raise.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace quamba2::jinja {

// op: + - * / // % ~
Value binary(std::string_view op, const Value& a, const Value& b, Budget* budget);
Value negate(const Value& v);
Value plus(const Value& v);
// op: == != < <= > >= in "not in"
bool compare(std::string_view op, const Value& a, const Value& b, Budget* budget);

// value[index], undefined where there is none; value.name, which finds keys too.
Value subscript(const Value& value, const Value& index, Budget* budget);
Value attribute(const Value& value, const std::string& name);
// value[from:to:step]; a None bound is absent.
Value slice(const Value& value, const Value& from, const Value& to, const Value& step, Budget* budget);

// What a for goes through: elements, keys, characters; nothing of what is undefined.
Items iterate(const Value& value, Budget* budget);
bool contains(const Value& container, const Value& item, Budget* budget);

// The value as a whole number or text, else "what must be an int, not str".
int64_t require_whole(const Value& v, const char* what);
const std::string& require_text(const Value& v, const char* what);
[[noreturn]] void fail_undefined(const Undefined& v);

}  // namespace quamba2::jinja
