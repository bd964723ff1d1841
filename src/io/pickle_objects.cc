// SPDX-License-Identifier: Apache-2.0
// What the few permitted names of a checkpoint's pickle mean: storages, tensors, ordered dictionaries.
#include "io/file_kind.h"
#include "io/pickle_machine.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

struct KnownGlobal {
  std::string_view module, name;
  PickleGlobal global;
  DType dtype = DType::kU8;
};

constexpr KnownGlobal kKnown[] = {
    {"torch._utils", "_rebuild_tensor_v2", PickleGlobal::kRebuildTensor},
    {"torch._utils", "_rebuild_parameter", PickleGlobal::kRebuildParameter},
    {"collections", "OrderedDict", PickleGlobal::kOrderedDict},
    {"torch", "FloatStorage", PickleGlobal::kStorageType, DType::kF32},
    {"torch", "HalfStorage", PickleGlobal::kStorageType, DType::kF16},
    {"torch", "BFloat16Storage", PickleGlobal::kStorageType, DType::kBF16},
    {"torch", "DoubleStorage", PickleGlobal::kStorageType, DType::kF64},
    {"torch", "LongStorage", PickleGlobal::kStorageType, DType::kI64},
    {"torch", "IntStorage", PickleGlobal::kStorageType, DType::kI32},
    {"torch", "CharStorage", PickleGlobal::kStorageType, DType::kI8},
    {"torch", "ByteStorage", PickleGlobal::kStorageType, DType::kU8},
    {"torch", "UntypedStorage", PickleGlobal::kStorageType, DType::kU8},
    {"torch.storage", "UntypedStorage", PickleGlobal::kStorageType, DType::kU8},
};

constexpr size_t kMaxKey = 64;  // torch writes small numbers
constexpr size_t kMaxTensors = 200'000;

constexpr const char* kSaveState =
    "nothing was executed; if you trust its origin, load it in Python and save model.state_dict() as .safetensors";

}  // namespace

void PickleMachine::push_global(std::string_view module, std::string_view name) {
  for (const KnownGlobal& known : kKnown) {
    if (known.module != module || known.name != name) continue;
    PickleValue& value = push(PickleKind::kGlobal);
    value.global = known.global;
    value.dtype = known.dtype;
    return;
  }
  const std::string full = printable(module) + "." + printable(name);
  if ((module == "torch" || module == "torch.storage") && name.ends_with("Storage")) {
    throw Error(ErrorCode::kModelFile, "unsupported tensor type", where_,
                "it holds a " + full + ", which is not supported",
                "supported are Double, Float, Half, BFloat16, Long, Int, Char and Byte; convert the tensor first");
  }
  throw Error(ErrorCode::kModelFile, "refused torch checkpoint", where_,
              "the file asks to call " + full + ", which is not needed to describe tensors", kSaveState);
}

bool PickleMachine::step_object(unsigned char opcode) {
  switch (opcode) {
    case 'c': {  // GLOBAL
      const std::string_view module = take_line();
      push_global(module, take_line());
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleValue &name = values_[pop()], &module = values_[pop()];
      if (name.kind != PickleKind::kText || module.kind != PickleKind::kText) fail("a name is not made of two strings");
      push_global(module.text, name.text);
      return true;
    }
    case 'Q': load_storage(); return true;
    case 'R': reduce(); return true;
    case 'b': {  // BUILD: attributes of a state dictionary, such as _metadata; of no interest
      pop();
      if (const PickleKind kind = values_[top()].kind; kind != PickleKind::kDict && kind != PickleKind::kTensor) {
        fail(std::string("it sets attributes of ") + name_of(kind));
      }
      return true;
    }
    default: return false;
  }
}

const PickleValue& PickleMachine::argument(const PickleValue& arguments, size_t i, PickleKind kind,
                                           const char* what) const {
  if (i >= arguments.items.size()) fail(std::string(what) + " is missing");
  const PickleValue& value = values_[arguments.items[i]];
  if (value.kind != kind) fail(std::string(what) + " is " + name_of(value.kind) + ", not " + name_of(kind));
  return value;
}

// ("storage", torch.FloatStorage, "0", "cpu", 4608)
void PickleMachine::load_storage() {
  const PickleValue& id = values_[pop()];
  if (id.kind != PickleKind::kTuple || id.items.size() != 5) fail("a persistent id is not a tuple of five values");
  if (argument(id, 0, PickleKind::kText, "the kind of a persistent id").text != "storage")
    fail("a persistent id names no storage");
  const PickleValue& type = argument(id, 1, PickleKind::kGlobal, "the type of a storage");
  if (type.global != PickleGlobal::kStorageType) fail("the type of a storage is a function");
  PickledTensor storage;
  storage.dtype = type.dtype;
  storage.storage_key = argument(id, 2, PickleKind::kText, "the key of a storage").text;
  if (storage.storage_key.size() > kMaxKey)
    fail("the key of a storage has " + std::to_string(storage.storage_key.size()) + " bytes");
  storage.storage_elements = argument(id, 4, PickleKind::kInt, "the size of a storage").number;
  if (storage.storage_elements < 0) fail("a storage has " + std::to_string(storage.storage_elements) + " elements");
  push(PickleKind::kStorage).number = static_cast<int64_t>(storages_.size());
  storages_.push_back(std::move(storage));
}

void PickleMachine::reduce() {
  // References hold until the next push, and no call reads an argument after it.
  const PickleValue& arguments = values_[pop()];
  const PickleValue& callable = values_[pop()];
  if (callable.kind != PickleKind::kGlobal) fail(std::string("it calls ") + name_of(callable.kind));
  if (arguments.kind != PickleKind::kTuple) fail("the arguments of a call are no tuple");
  switch (callable.global) {
    case PickleGlobal::kRebuildTensor: rebuild_tensor(arguments); return;
    case PickleGlobal::kRebuildParameter: {
      const int64_t index = argument(arguments, 0, PickleKind::kTensor, "the data of a parameter").number;
      push(PickleKind::kTensor).number = index;
      return;
    }
    case PickleGlobal::kOrderedDict:
      if (!arguments.items.empty()) fail("an OrderedDict is built from arguments, which torch.save does not do");
      push(PickleKind::kDict);
      return;
    case PickleGlobal::kStorageType: fail("it calls a storage type");
  }
}

std::vector<int64_t> PickleMachine::integers(const PickleValue& tuple, const char* what) const {
  constexpr size_t kMaxRank = 16;
  if (tuple.items.size() > kMaxRank)
    fail(std::string(what) + " has " + std::to_string(tuple.items.size()) + " dimensions");
  std::vector<int64_t> out;
  for (size_t i = 0; i < tuple.items.size(); ++i) out.push_back(argument(tuple, i, PickleKind::kInt, what).number);
  return out;
}

// (storage, offset, shape, strides, requires_grad, backward_hooks[, metadata])
void PickleMachine::rebuild_tensor(const PickleValue& arguments) {
  const PickleValue& storage = argument(arguments, 0, PickleKind::kStorage, "the storage of a tensor");
  if (tensors_.size() >= kMaxTensors) fail("it holds more than " + std::to_string(kMaxTensors) + " tensors");
  PickledTensor tensor = storages_[static_cast<size_t>(storage.number)];
  tensor.offset = argument(arguments, 1, PickleKind::kInt, "the offset of a tensor").number;
  tensor.shape = integers(argument(arguments, 2, PickleKind::kTuple, "the shape of a tensor"), "the shape of a tensor");
  tensor.strides =
      integers(argument(arguments, 3, PickleKind::kTuple, "the strides of a tensor"), "the strides of a tensor");
  if (tensor.shape.size() != tensor.strides.size()) {
    fail("a tensor has " + std::to_string(tensor.shape.size()) + " dimensions and " +
         std::to_string(tensor.strides.size()) + " strides");
  }
  push(PickleKind::kTensor).number = static_cast<int64_t>(tensors_.size());
  tensors_.push_back(std::move(tensor));
}

}  // namespace quamba2
