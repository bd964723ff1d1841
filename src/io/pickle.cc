// SPDX-License-Identifier: Apache-2.0
#include "io/pickle.h"

#include <algorithm>
#include <set>

#include "io/file_kind.h"
#include "io/pickle_machine.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr std::string_view kWrappers[] = {"state_dict", "model_state_dict", "model"};

bool has_tensors(const PickleMachine& machine, const PickleValue& dict) {
  for (size_t i = 1; i < dict.items.size(); i += 2) {
    if (machine.value(dict.items[i]).kind == PickleKind::kTensor) return true;
  }
  return false;
}

const PickleValue* member(const PickleMachine& machine, const PickleValue& dict, std::string_view key) {
  for (size_t i = 0; i < dict.items.size(); i += 2) {
    const PickleValue& name = machine.value(dict.items[i]);
    if (name.kind == PickleKind::kText && name.text == key) return &machine.value(dict.items[i + 1]);
  }
  return nullptr;
}

std::string key_list(const PickleMachine& machine, const PickleValue& dict) {
  std::string out;
  for (size_t i = 0; i < std::min<size_t>(dict.items.size(), 16); i += 2) {
    const PickleValue& name = machine.value(dict.items[i]);
    out += (i ? ", " : "") +
           (name.kind == PickleKind::kText ? "\"" + printable(name.text) + "\"" : std::string(name_of(name.kind)));
  }
  if (dict.items.size() > 16) out += " and more";
  return out.empty() ? "nothing" : out;
}

const PickleValue& find_state(const PickleMachine& machine, const PickleValue& root, const std::string& where) {
  if (root.kind != PickleKind::kDict) {
    throw Error(ErrorCode::kModelFile, "unsupported torch checkpoint", where,
                std::string("it holds ") + name_of(root.kind) + ", not a dictionary of tensors",
                "save model.state_dict()");
  }
  if (has_tensors(machine, root)) return root;
  for (std::string_view key : kWrappers) {
    const PickleValue* inner = member(machine, root, key);
    if (inner && inner->kind == PickleKind::kDict && has_tensors(machine, *inner)) return *inner;
  }
  throw Error(
      ErrorCode::kModelFile, "unsupported torch checkpoint", where,
      "its dictionary holds no tensors, nor under \"state_dict\", \"model_state_dict\" or \"model\"; it holds " +
          key_list(machine, root),
      "save model.state_dict()");
}

}  // namespace

std::vector<PickledTensor> read_state_pickle(std::string_view pickle, const std::string& where) {
  PickleMachine machine(pickle, where);
  const PickleRef root = machine.run();
  const PickleValue& state = find_state(machine, machine.value(root), where);
  std::vector<PickledTensor> out;
  std::set<std::string_view> seen;
  for (size_t i = 0; i < state.items.size(); i += 2) {
    const PickleValue &key = machine.value(state.items[i]), &value = machine.value(state.items[i + 1]);
    if (value.kind != PickleKind::kTensor) continue;
    if (key.kind != PickleKind::kText) machine.fail(std::string("the name of a tensor is ") + name_of(key.kind));
    if (!seen.insert(key.text).second) machine.fail("tensor \"" + printable(key.text) + "\" appears twice");
    out.push_back(machine.tensor(value));
    out.back().name = key.text;
  }
  return out;
}

}  // namespace quamba2
