// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/value.h"

#include <algorithm>

#include "base/json.h"
#include "quamba2/error.h"

namespace quamba2::jinja {

void unsupported(const std::string& why) {
  throw Error(ErrorCode::kModelFile, "unsupported chat template", "", why,
              "docs/chat.md lists what templates may use; --template chatml takes the common form instead");
}

void failed(const std::string& why) { throw Error(ErrorCode::kUsage, "chat template failed", "", why); }

Namespace* Value::name_space() const {
  const auto* p = std::get_if<std::shared_ptr<Namespace>>(&v_);
  return p ? p->get() : nullptr;
}

int64_t Value::whole() const {
  if (const bool* b = std::get_if<bool>(&v_)) return *b ? 1 : 0;
  return std::get<int64_t>(v_);
}

double Value::number() const {
  if (const double* d = std::get_if<double>(&v_)) return *d;
  return static_cast<double>(whole());
}

bool Value::truth() const {
  if (is_none() || is_undefined()) return false;
  if (is_whole()) return whole() != 0;
  if (is_number()) return number() != 0;
  if (const std::string* s = string()) return !s->empty();
  if (const List* l = list()) return !l->items.empty();
  if (const Dict* d = dict()) return !d->items.empty();
  return true;
}

const char* Value::type_name() const {
  if (is_none()) return "NoneType";
  if (is_undefined()) return "Undefined";
  if (is_bool()) return "bool";
  if (is_whole()) return "int";
  if (is_number()) return "float";
  if (string()) return "str";
  if (list()) return list()->tuple ? "tuple" : "list";
  if (dict()) return "dict";
  if (name_space()) return "Namespace";
  return loop() ? "LoopContext" : "function";
}

int Value::depth() const {
  if (list()) return list()->depth;
  return dict() ? dict()->depth : 0;
}

const Value* Dict::find(std::string_view key) const {
  const auto at = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.first == key; });
  return at == items.end() ? nullptr : &at->second;
}

namespace {

int depth_with(int depth, const Value& v) {
  // A namespace can change later: inside of values it could come to hold itself.
  if (v.name_space() || v.loop()) unsupported("a namespace or loop inside of a list or dict is not known here");
  depth = std::max(depth, v.depth() + 1);
  if (depth > kMaxDepth) failed("values are nested deeper than " + std::to_string(kMaxDepth) + " levels");
  return depth;
}

}  // namespace

Value make_list(Items items, bool tuple) {
  int depth = 1;
  for (const Value& v : items) depth = depth_with(depth, v);
  return std::make_shared<const List>(List{std::move(items), tuple, depth});
}

Value make_dict(Members items) {
  int depth = 1;
  for (const auto& [key, v] : items) depth = depth_with(depth, v);
  return std::make_shared<const Dict>(Dict{std::move(items), depth});
}

Value from_json(const Json& json) {
  const std::string where = "messages";
  if (json.is_bool()) return json.as_bool(where);
  if (json.is_int()) return json.as_int(where);
  if (json.is_number()) return json.as_double(where);
  if (json.is_string()) return json.as_string(where);
  if (json.is_array()) {
    Items items;
    for (const Json& item : json.as_array(where)) items.push_back(from_json(item));
    return make_list(std::move(items));
  }
  if (!json.is_object()) return {};
  Members items;
  for (const auto& [key, item] : json.as_object(where)) items.emplace_back(key, from_json(item));
  return make_dict(std::move(items));
}

namespace {

bool equal_lists(const List& a, const List& b, Budget* budget) {
  if (a.tuple != b.tuple || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!equal(a.items[i], b.items[i], budget)) return false;
  }
  return true;
}

bool equal_dicts(const Dict& a, const Dict& b, Budget* budget) {
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, value] : a.items) {
    budget->elements(b.items.size() / 16);  // `find` is a walk
    const Value* other = b.find(key);
    if (!other || !equal(value, *other, budget)) return false;
  }
  return true;
}

}  // namespace

bool equal(const Value& a, const Value& b, Budget* budget) {
  budget->step();
  if (a.is_number() && b.is_number()) {
    return a.is_whole() && b.is_whole() ? a.whole() == b.whole() : a.number() == b.number();
  }
  if (a.string() && b.string()) {
    budget->text(a.string()->size() == b.string()->size() ? a.string()->size() : 0);
    return *a.string() == *b.string();
  }
  if (a.list() && b.list()) return a.list() == b.list() || equal_lists(*a.list(), *b.list(), budget);
  if (a.dict() && b.dict()) return a.dict() == b.dict() || equal_dicts(*a.dict(), *b.dict(), budget);
  if (a.name_space() || b.name_space()) return a.name_space() == b.name_space();
  if (a.loop() || b.loop()) return a.loop() == b.loop();
  if (a.function() && b.function()) return a.function()->name == b.function()->name;
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

}  // namespace quamba2::jinja
