// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/render.h"

#include <algorithm>

#include "quamba2/error.h"
#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"

namespace quamba2::jinja {
namespace {

enum class Flow { kOn, kBreak, kContinue };

class Renderer {
 public:
  Renderer(Members variables, std::time_t now) {
    context_.now = now;
    scopes_.push_back(std::move(variables));
  }

  std::string run(const Block& block) {
    try {
      execute(block);
    } catch (const Error& e) {
      throw e.within("line " + std::to_string(line_));
    }
    return std::move(out_);
  }

 private:
  Flow execute(const Block& block) {
    for (const Statement& s : block) {
      context_.budget.step();
      line_ = s.line;
      const Flow flow = execute(s);
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

  Flow execute(const Statement& s) {
    switch (s.kind) {
      case StatementKind::kText: write(s.text); return Flow::kOn;
      case StatementKind::kPrint: write(to_text(evaluate(*s.expression), &context_.budget)); return Flow::kOn;
      case StatementKind::kIf:
        for (const Branch& branch : s.branches) {
          if (!branch.condition || evaluate(*branch.condition).truth()) return execute(branch.body);
        }
        return Flow::kOn;
      case StatementKind::kFor: return run_for(s);
      case StatementKind::kSet: set(s); return Flow::kOn;
      case StatementKind::kBreak: return Flow::kBreak;
      case StatementKind::kContinue: return Flow::kContinue;
      case StatementKind::kGroup: return execute(s.body);
    }
    return Flow::kOn;
  }

  void write(const std::string& text) {
    out_ += text;
    context_.budget.text(text.size());
    if (out_.size() > kMaxText) context_.budget.text(out_.size());
  }

  // --- variables

  void assign(const std::string& name, Value value) {
    for (auto& [key, v] : scopes_.back()) {
      if (key == name) {
        v = std::move(value);
        return;
      }
    }
    scopes_.back().emplace_back(name, std::move(value));
  }

  Value look_up(const std::string& name) {
    for (size_t i = scopes_.size(); i-- > 0;) {
      for (const auto& [key, value] : scopes_[i]) {
        if (key == name) return value;
      }
    }
    const Value* function = global_function(name);
    return function ? *function : Value(Undefined{name});
  }

  // One value, or as many as there are names.
  void assign_all(const std::vector<std::string>& names, const Value& value) {
    if (names.size() == 1) return assign(names[0], value);
    const Items items = iterate(value, &context_.budget);
    if (items.size() != names.size()) {
      failed(std::to_string(items.size()) + " values for " + std::to_string(names.size()) + " names");
    }
    for (size_t i = 0; i < names.size(); ++i) assign(names[i], items[i]);
  }

  void set(const Statement& s) {
    if (!s.expression) {
      std::string outer = std::move(out_);
      out_.clear();
      scopes_.emplace_back();
      execute(s.body);
      scopes_.pop_back();
      std::swap(outer, out_);
      return assign(s.names[0], std::move(outer));
    }
    const Value value = evaluate(*s.expression);
    line_ = s.line;
    if (s.text.empty()) return assign_all(s.names, value);
    const Value space = look_up(s.text);
    if (!space.name_space()) failed("\"" + s.text + "\" is no namespace: its attributes cannot be set");
    make_list({value});  // refuses what a namespace cannot hold
    Members& items = space.name_space()->items;
    const auto at =
        std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.first == s.names[0]; });
    if (at == items.end()) {
      items.emplace_back(s.names[0], value);
    } else {
      at->second = value;
    }
  }

  // --- loops

  // The elements for which the condition of the for holds.
  Items filtered(const Statement& s) {
    Items items = iterate(evaluate(*s.expression), &context_.budget);
    if (!s.condition) return items;
    Items kept;
    for (const Value& item : items) {
      scopes_.emplace_back();
      assign_all(s.names, item);
      if (evaluate(*s.condition).truth()) kept.push_back(item);
      scopes_.pop_back();
    }
    return kept;
  }

  Flow run_for(const Statement& s) {
    const Items items = filtered(s);
    for (size_t i = 0; i < items.size(); ++i) {
      context_.budget.step();
      line_ = s.line;
      auto loop = std::make_shared<Loop>();
      loop->index0 = i;
      loop->length = items.size();
      loop->previous = i > 0 ? items[i - 1] : Value(Undefined{"loop.previtem"});
      loop->next = i + 1 < items.size() ? items[i + 1] : Value(Undefined{"loop.nextitem"});
      scopes_.emplace_back();
      assign("loop", std::shared_ptr<const Loop>(std::move(loop)));
      assign_all(s.names, items[i]);
      const Flow flow = execute(s.body);
      scopes_.pop_back();
      if (flow == Flow::kBreak) break;
    }
    if (!items.empty() || s.otherwise.empty()) return Flow::kOn;
    scopes_.emplace_back();
    const Flow flow = execute(s.otherwise);
    scopes_.pop_back();
    return flow;
  }

  // --- expressions

  Value evaluate(const Expression& e) {
    context_.budget.step();
    line_ = e.line;
    const auto operand = [&](size_t i) { return evaluate(*e.operands[i]); };
    switch (e.kind) {
      case ExpressionKind::kConstant: return e.value;
      case ExpressionKind::kName: return look_up(e.text);
      case ExpressionKind::kList: return make_list(operands(e, 0));
      case ExpressionKind::kTuple: return make_list(operands(e, 0), true);
      case ExpressionKind::kDict: return dict(e);
      case ExpressionKind::kNot: return !operand(0).truth();
      case ExpressionKind::kNegate: return negate(operand(0));
      case ExpressionKind::kPlus: return plus(operand(0));
      case ExpressionKind::kAnd: {
        Value first = operand(0);
        return first.truth() ? operand(1) : first;
      }
      case ExpressionKind::kOr: {
        Value first = operand(0);
        return first.truth() ? first : operand(1);
      }
      case ExpressionKind::kIf:
        if (operand(1).truth()) return operand(0);
        return e.operands.size() > 2 ? operand(2) : Value(Undefined{"the value of an if without else"});
      case ExpressionKind::kCompare: return compare_chain(e);
      default: return evaluate_access(e);
    }
  }

  Value evaluate_access(const Expression& e) {
    Value first;
    if (e.kind != ExpressionKind::kCall) first = evaluate(*e.operands[0]);
    switch (e.kind) {
      case ExpressionKind::kBinary: return binary(e.text, first, evaluate(*e.operands[1]), &context_.budget);
      case ExpressionKind::kAttribute: return attribute(first, e.text);
      case ExpressionKind::kSubscript: return subscript(first, evaluate(*e.operands[1]), &context_.budget);
      case ExpressionKind::kSlice: {
        const Items bounds = operands(e, 1);
        return slice(first, bounds[0], bounds[1], bounds[2], &context_.budget);
      }
      case ExpressionKind::kCall: return call(e);
      case ExpressionKind::kMethod: return call_method(e.text, first, arguments(e), &context_);
      case ExpressionKind::kFilter: return apply_filter(e.text, first, arguments(e), &context_);
      default: return apply_test(e.text, first, arguments(e), &context_);
    }
  }

  Items operands(const Expression& e, size_t first) {
    context_.budget.elements(e.operands.size());
    Items out;
    for (size_t i = first; i < e.operands.size(); ++i) out.push_back(evaluate(*e.operands[i]));
    return out;
  }

  Arguments arguments(const Expression& e) {
    Arguments out;
    out.positional = operands(e, 1);
    for (const auto& [name, value] : e.named) out.named.emplace_back(name, evaluate(*value));
    line_ = e.line;
    return out;
  }

  Value call(const Expression& e) {
    const std::string& name = e.operands[0]->text;
    if (!look_up(name).function()) failed("\"" + name + "\" is a variable here, and is called");
    return call_function(name, arguments(e), &context_);
  }

  Value dict(const Expression& e) {
    const Items items = operands(e, 0);
    Members members;
    for (size_t i = 0; i < items.size(); i += 2) {
      if (!items[i].string()) unsupported("a key of a dict that is no str is not known here");
      const auto at = std::find_if(members.begin(), members.end(),
                                   [&](const auto& item) { return item.first == *items[i].string(); });
      context_.budget.elements(members.size() / 16);
      if (at == members.end()) {
        members.emplace_back(*items[i].string(), items[i + 1]);
      } else {
        at->second = items[i + 1];
      }
    }
    return make_dict(std::move(members));
  }

  Value compare_chain(const Expression& e) {
    Value left = evaluate(*e.operands[0]);
    for (size_t i = 0; i < e.names.size(); ++i) {
      Value right = evaluate(*e.operands[i + 1]);
      if (!compare(e.names[i], left, right, &context_.budget)) return false;
      left = std::move(right);
    }
    return true;
  }

  Context context_;
  std::vector<Members> scopes_;  // innermost last
  std::string out_;
  int line_ = 1;
};

}  // namespace

std::string render(const Block& block, Members variables, std::time_t now) {
  return Renderer(std::move(variables), now).run(block);
}

}  // namespace quamba2::jinja
