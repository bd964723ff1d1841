// SPDX-License-Identifier: Apache-2.0
// Methods of str, dict, list and loop. Those that change a list or dict are refused, as in Hugging Face's sandbox.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/text.h"

namespace quamba2::jinja {
namespace {

struct Call {
  const std::string what;  // for messages
  const Value& self;
  const Arguments& a;
  Context* c;

  const std::string& text() const { return *self.string(); }
  const std::string* optional_text(size_t index, const char* name) const {
    const Value* v = a.get(index, name);
    return v && !v->is_none() ? &require_text(*v, name) : nullptr;
  }
  int64_t count(size_t index, const char* name) const {
    const Value* v = a.get(index, name);
    return v ? require_whole(*v, name) : -1;
  }
};

enum class Kind { kText, kDict, kList, kLoop };

struct Method {
  std::string_view name;
  Kind kind;
  Value (*run)(const Call& call);
};

Value pieces(const std::vector<std::string_view>& parts, Context* c) {
  c->budget.elements(parts.size());
  Items items;
  for (const std::string_view part : parts) items.push_back(std::string(part));
  return make_list(std::move(items));
}

Value stripped(const Call& call, bool left, bool right) {
  call.a.check(call.what, {"chars"});
  return std::string(strip(call.text(), call.optional_text(0, "chars"), left, right));
}

Value split_method(const Call& call) {
  call.a.check(call.what, {"sep", "maxsplit"});
  const std::string* separator = call.optional_text(0, "sep");
  if (separator && separator->empty()) failed("an empty separator");
  call.c->budget.elements(call.text().size() / 16);
  return pieces(split(call.text(), separator, call.count(1, "maxsplit")), call.c);
}

Value splitlines_method(const Call& call) {
  call.a.check(call.what, {"keepends"});
  const Value* keep = call.a.get(0, "keepends");
  return pieces(split_lines(call.text(), keep && keep->truth()), call.c);
}

bool has_affix(const Call& call, const std::string& affix, bool front) {
  return front ? call.text().starts_with(affix) : call.text().ends_with(affix);
}

Value affix_method(const Call& call, bool front) {
  call.a.check(call.what, {"prefix"}, 1);
  const Value& affix = call.a.positional.empty() ? *call.a.get(0, "prefix") : call.a.positional[0];
  const List* several = affix.list();
  if (!several || !several->tuple) return has_affix(call, require_text(affix, "a prefix or suffix"), front);
  return std::any_of(several->items.begin(), several->items.end(),
                     [&](const Value& v) { return has_affix(call, require_text(v, "a prefix or suffix"), front); });
}

Value remove_affix(const Call& call, bool front) {
  call.a.check(call.what, {"prefix"}, 1);
  const std::string& affix = require_text(*call.a.get(0, "prefix"), "a prefix or suffix");
  if (affix.empty() || !has_affix(call, affix, front)) return call.self;
  return front ? call.text().substr(affix.size()) : call.text().substr(0, call.text().size() - affix.size());
}

Value replace_method(const Call& call) {
  call.a.check(call.what, {"old", "new", "count"}, 2);
  const std::string& from = require_text(*call.a.get(0, "old"), "old");
  const std::string& to = require_text(*call.a.get(1, "new"), "new");
  if (from.empty()) unsupported("replacing the empty string is not known here");
  size_t found = 0;
  for (size_t at = call.text().find(from); at != std::string::npos; at = call.text().find(from, at + from.size()))
    ++found;
  call.c->budget.text(call.text().size() + std::min<size_t>(found * to.size(), kMaxText + 1));
  return replace(call.text(), from, to, call.count(2, "count"));
}

Value find_method(const Call& call) {
  call.a.check(call.what, {"sub"}, 1);
  const size_t at = call.text().find(require_text(*call.a.get(0, "sub"), "sub"));
  return at == std::string::npos ? int64_t{-1} : count_characters(std::string_view(call.text()).substr(0, at));
}

Value count_method(const Call& call) {
  call.a.check(call.what, {"sub"}, 1);
  const std::string& sub = require_text(*call.a.get(0, "sub"), "sub");
  if (sub.empty()) return count_characters(call.text()) + 1;
  int64_t n = 0;
  for (size_t at = call.text().find(sub); at != std::string::npos; at = call.text().find(sub, at + sub.size())) ++n;
  return n;
}

Value join_method(const Call& call) {
  call.a.check(call.what, {"iterable"}, 1);
  const Items items = iterate(*call.a.get(0, "iterable"), &call.c->budget);
  for (const Value& item : items) require_text(item, "what join joins");
  return apply_filter("join", make_list(items), {{call.self}, {}}, call.c);
}

Value changed(const Call& call, std::string (*change)(std::string_view)) {
  call.a.check(call.what, {});
  call.c->budget.text(call.text().size());
  return change(call.text());
}

Value items_method(const Call& call) {
  call.a.check(call.what, {});
  call.c->budget.elements(2 * call.self.dict()->items.size());
  Items out;
  for (const auto& [key, v] : call.self.dict()->items) out.push_back(make_list({key, v}, true));
  return make_list(std::move(out));
}

Value keys_method(const Call& call) {
  call.a.check(call.what, {});
  return make_list(iterate(call.self, &call.c->budget));
}

Value values_method(const Call& call) {
  call.a.check(call.what, {});
  call.c->budget.elements(call.self.dict()->items.size());
  Items out;
  for (const auto& [key, v] : call.self.dict()->items) out.push_back(v);
  return make_list(std::move(out));
}

Value get_method(const Call& call) {
  call.a.check(call.what, {"key", "default"}, 1);
  const Value* key = call.a.get(0, "key");
  const Value* found = key->string() ? call.self.dict()->find(*key->string()) : nullptr;
  const Value* other = call.a.get(1, "default");
  return found ? *found : other ? *other : Value();
}

Value index_method(const Call& call) {
  call.a.check(call.what, {"value"}, 1);
  const Items& items = call.self.list()->items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (equal(items[i], *call.a.get(0, "value"), &call.c->budget)) return static_cast<int64_t>(i);
  }
  failed("the list does not hold what index() looks for");
}

Value cycle_method(const Call& call) {
  if (call.a.positional.empty() || !call.a.named.empty()) failed("loop.cycle takes values, and one at least");
  return call.a.positional[call.self.loop()->index0 % call.a.positional.size()];
}

constexpr Method kMethods[] = {
    {"capitalize", Kind::kText, [](const Call& c) { return changed(c, capitalize); }},
    {"count", Kind::kText, count_method},
    {"cycle", Kind::kLoop, cycle_method},
    {"endswith", Kind::kText, [](const Call& c) { return affix_method(c, false); }},
    {"find", Kind::kText, find_method},
    {"get", Kind::kDict, get_method},
    {"index", Kind::kList, index_method},
    {"items", Kind::kDict, items_method},
    {"join", Kind::kText, join_method},
    {"keys", Kind::kDict, keys_method},
    {"lower", Kind::kText, [](const Call& c) { return changed(c, lower); }},
    {"lstrip", Kind::kText, [](const Call& c) { return stripped(c, true, false); }},
    {"removeprefix", Kind::kText, [](const Call& c) { return remove_affix(c, true); }},
    {"removesuffix", Kind::kText, [](const Call& c) { return remove_affix(c, false); }},
    {"replace", Kind::kText, replace_method},
    {"rstrip", Kind::kText, [](const Call& c) { return stripped(c, false, true); }},
    {"split", Kind::kText, split_method},
    {"splitlines", Kind::kText, splitlines_method},
    {"startswith", Kind::kText, [](const Call& c) { return affix_method(c, true); }},
    {"strip", Kind::kText, [](const Call& c) { return stripped(c, true, true); }},
    {"title", Kind::kText, [](const Call& c) { return changed(c, title); }},
    {"upper", Kind::kText, [](const Call& c) { return changed(c, upper); }},
    {"values", Kind::kDict, values_method},
};

bool is_of(const Value& v, Kind kind) {
  switch (kind) {
    case Kind::kText: return v.string() != nullptr;
    case Kind::kDict: return v.dict() != nullptr;
    case Kind::kList: return v.list() != nullptr;
    case Kind::kLoop: return v.loop() != nullptr;
  }
  return false;
}

}  // namespace

bool known_method(std::string_view name) {
  return std::any_of(std::begin(kMethods), std::end(kMethods), [&](const Method& m) { return m.name == name; });
}

bool has_method(const Value& v, std::string_view name) {
  return std::any_of(std::begin(kMethods), std::end(kMethods),
                     [&](const Method& m) { return m.name == name && is_of(v, m.kind); });
}

std::string method_names() {
  std::string out;
  for (const Method& m : kMethods) out.append(out.empty() ? "" : ", ").append(m.name);
  return out;
}

Value call_method(std::string_view name, const Value& self, const Arguments& arguments, Context* context) {
  context->budget.step();
  if (self.undefined()) fail_undefined(*self.undefined());
  if (self.string()) context->budget.text(self.string()->size());
  for (const Method& m : kMethods) {
    if (m.name == name && is_of(self, m.kind)) {
      return m.run({"the method \"" + std::string(name) + "\"", self, arguments, context});
    }
  }
  unsupported("the method \"" + std::string(name) + "\" of a " + self.type_name() + " is not known here");
}

}  // namespace quamba2::jinja
