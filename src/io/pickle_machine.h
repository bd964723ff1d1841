// SPDX-License-Identifier: Apache-2.0
// The stack machine behind io/pickle.h. Values live in one array and refer to each other by index, so neither depth nor
// cycles cost stack or leak; every opcode adds one value at most, and the number of values is bounded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/pickle.h"

namespace quamba2 {

enum class PickleKind : uint8_t {
  kNone,
  kBool,
  kInt,
  kFloat,
  kText,
  kTuple,
  kList,
  kDict,
  kSet,
  kGlobal,
  kStorage,
  kTensor
};

enum class PickleGlobal : uint8_t { kRebuildTensor, kRebuildParameter, kOrderedDict, kStorageType };

const char* name_of(PickleKind kind);

using PickleRef = uint32_t;

struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  PickleGlobal global = PickleGlobal::kOrderedDict;  // kGlobal
  DType dtype = DType::kF32;                         // kGlobal: of a storage type
  int64_t number = 0;                                // kBool, kInt; kStorage and kTensor: index
  std::string_view text;                             // kText: into the pickle; kGlobal: module and name
  std::vector<PickleRef> items;                      // kTuple, kList, kSet; kDict: key, value, key, value
};

class PickleMachine {
 public:
  PickleMachine(std::string_view pickle, const std::string& where) : pickle_(pickle), where_(where) {}

  // Runs to STOP and returns what lies on the stack then.
  PickleRef run();
  const PickleValue& value(PickleRef ref) const { return values_[ref]; }
  const PickledTensor& tensor(const PickleValue& value) const { return tensors_[static_cast<size_t>(value.number)]; }
  [[noreturn]] void fail(const std::string& why, const char* hint = nullptr) const;

 private:
  // Reading. Each throws where the pickle ends too early.
  std::string_view take(uint64_t bytes);
  uint64_t take_unsigned(int bytes);
  std::string_view take_line();

  // The stack above the last mark is what the running opcode may touch.
  PickleRef add(PickleKind kind);
  PickleValue& push(PickleKind kind);
  void push_int(int64_t number);
  PickleRef pop();
  PickleRef top() const;
  std::vector<PickleRef> pop_to_mark();

  bool step();  // false: STOP
  bool step_number(unsigned char opcode);
  bool step_text(unsigned char opcode);
  bool step_memo(unsigned char opcode);
  bool step_container(unsigned char opcode);
  bool step_object(unsigned char opcode);

  void remember(uint64_t index);
  void recall(uint64_t index);
  void push_tuple(std::vector<PickleRef> items);
  void extend(PickleKind kind, const std::vector<PickleRef>& items);
  void push_global(std::string_view module, std::string_view name);
  void load_storage();
  void reduce();
  void rebuild_tensor(const PickleValue& arguments);
  const PickleValue& argument(const PickleValue& arguments, size_t i, PickleKind kind, const char* what) const;
  std::vector<int64_t> integers(const PickleValue& tuple, const char* what) const;

  std::string_view pickle_;
  const std::string& where_;
  size_t at_ = 0;
  std::vector<PickleValue> values_;
  std::vector<PickleRef> stack_, memo_;
  std::vector<size_t> marks_;
  std::vector<PickledTensor> storages_, tensors_;  // a storage has only its storage fields set
};

}  // namespace quamba2
