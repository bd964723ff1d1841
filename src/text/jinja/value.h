// SPDX-License-Identifier: Apache-2.0
// Values of a chat template: what Python would hold, as far as templates need it. Copies share their contents, which
// never change, but for namespaces.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/budget.h"

namespace quamba2 {

class Json;

namespace jinja {

class Value;
using Items = std::vector<Value>;
using Members = std::vector<std::pair<std::string, Value>>;  // in the order of insertion, as in Python

struct Undefined {
  std::string name;  // what was looked for
};
struct Function {
  std::string_view name;  // of a global function; static storage
};
struct List;
struct Dict;
struct Namespace;
struct Loop;

class Value {
 public:
  Value() = default;  // None
  Value(Undefined v) : v_(std::move(v)) {}
  Value(Function v) : v_(v) {}
  Value(bool v) : v_(v) {}
  Value(int64_t v) : v_(v) {}
  Value(double v) : v_(v) {}
  Value(std::string v) : v_(std::make_shared<const std::string>(std::move(v))) {}
  Value(const char* v) : Value(std::string(v)) {}
  Value(std::shared_ptr<const List> v) : v_(std::move(v)) {}
  Value(std::shared_ptr<const Dict> v) : v_(std::move(v)) {}
  Value(std::shared_ptr<Namespace> v) : v_(std::move(v)) {}
  Value(std::shared_ptr<const Loop> v) : v_(std::move(v)) {}

  bool is_none() const { return std::holds_alternative<std::monostate>(v_); }
  bool is_undefined() const { return std::holds_alternative<Undefined>(v_); }
  bool is_bool() const { return std::holds_alternative<bool>(v_); }
  bool is_whole() const { return is_bool() || std::holds_alternative<int64_t>(v_); }  // Python's int: bool is one
  bool is_number() const { return is_whole() || std::holds_alternative<double>(v_); }

  // Null where the value is of another kind.
  const Undefined* undefined() const { return std::get_if<Undefined>(&v_); }
  const Function* function() const { return std::get_if<Function>(&v_); }
  const std::string* string() const { return pointer<std::shared_ptr<const std::string>>(); }
  const List* list() const { return pointer<std::shared_ptr<const List>>(); }
  const Dict* dict() const { return pointer<std::shared_ptr<const Dict>>(); }
  Namespace* name_space() const;
  const Loop* loop() const { return pointer<std::shared_ptr<const Loop>>(); }
  int64_t whole() const;  // of a value that is_whole()
  double number() const;  // of a value that is_number()

  bool truth() const;
  const char* type_name() const;  // Python's: "str", "NoneType"
  int depth() const;              // levels of lists and dicts inside

 private:
  template <class Shared>
  auto pointer() const -> decltype(std::declval<Shared>().get()) {
    const auto* p = std::get_if<Shared>(&v_);
    return p ? p->get() : nullptr;
  }
  std::variant<std::monostate, Undefined, bool, int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const List>, std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
               std::shared_ptr<const Loop>, Function>
      v_;
};

struct List {
  Items items;
  bool tuple = false;
  int depth = 1;
};
struct Dict {
  Members items;
  int depth = 1;
  const Value* find(std::string_view key) const;
};
struct Namespace {
  Members items;
};
// What `loop` is inside of a for.
struct Loop {
  size_t index0 = 0, length = 0;
  Value previous, next;
};

// Refuse namespaces inside and more than 64 levels: printing and freeing values recurses.
Value make_list(Items items, bool tuple = false);
Value make_dict(Members items);
Value from_json(const Json& json);

// Python's ==. Charges the budget for what it looks at.
bool equal(const Value& a, const Value& b, Budget* budget);
// Python's str() and repr(). Charge for the text.
std::string to_text(const Value& v, Budget* budget);
std::string to_repr(const Value& v, Budget* budget);
std::string float_text(double v);  // Python's repr of a float
// Python's json.dumps(v, ensure_ascii=False); `indent` < 0: one line. Throws for what JSON has no form for.
std::string to_json(const Value& v, int64_t indent, Budget* budget);

}  // namespace jinja
}  // namespace quamba2
