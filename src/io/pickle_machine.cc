// SPDX-License-Identifier: Apache-2.0
// Reading opcodes, the stack and the memo. What names mean is in pickle_objects.cc.
#include "io/pickle_machine.h"

#include <limits>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

// Each far above what checkpoints of hundreds of layers need: they have some 25 values a tensor.
constexpr size_t kMaxPickle = 64u << 20;
constexpr size_t kMaxValues = 2'000'000;
constexpr size_t kMaxMarks = 1000;
constexpr uint64_t kMaxText = 1u << 20;
constexpr PickleRef kUnset = std::numeric_limits<PickleRef>::max();

std::string hex(unsigned char byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  return {'0', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
}

}  // namespace

const char* name_of(PickleKind kind) {
  switch (kind) {
    case PickleKind::kNone: return "None";
    case PickleKind::kBool: return "a bool";
    case PickleKind::kInt: return "an int";
    case PickleKind::kFloat: return "a float";
    case PickleKind::kText: return "a string";
    case PickleKind::kTuple: return "a tuple";
    case PickleKind::kList: return "a list";
    case PickleKind::kDict: return "a dictionary";
    case PickleKind::kSet: return "a set";
    case PickleKind::kGlobal: return "a name";
    case PickleKind::kStorage: return "a storage";
    case PickleKind::kTensor: return "a tensor";
  }
  return "?";
}

void PickleMachine::fail(const std::string& why, const char* hint) const {
  throw Error(ErrorCode::kModelFile, "invalid torch checkpoint",
              where_ + ": byte " + std::to_string(at_) + " of its pickle", why,
              hint ? hint : "the file is damaged or was not written by torch.save; fetch it again");
}

std::string_view PickleMachine::take(uint64_t bytes) {
  if (bytes > pickle_.size() - at_) {
    fail("it needs " + std::to_string(bytes) + " more bytes, but " + std::to_string(pickle_.size() - at_) +
         " are left");
  }
  const std::string_view out = pickle_.substr(at_, bytes);
  at_ += bytes;
  return out;
}

uint64_t PickleMachine::take_unsigned(int bytes) {
  const std::string_view raw = take(static_cast<uint64_t>(bytes));
  uint64_t value = 0;
  for (size_t i = raw.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(raw[i]);
  return value;
}

std::string_view PickleMachine::take_line() {
  const size_t end = pickle_.find('\n', at_);
  if (end == pickle_.npos || end - at_ > kMaxText) fail("a name does not end");
  const std::string_view line = pickle_.substr(at_, end - at_);
  at_ = end + 1;
  return line;
}

PickleRef PickleMachine::add(PickleKind kind) {
  if (values_.size() >= kMaxValues) fail("it builds more than " + std::to_string(kMaxValues) + " values");
  values_.emplace_back().kind = kind;
  return static_cast<PickleRef>(values_.size() - 1);
}

PickleValue& PickleMachine::push(PickleKind kind) {
  stack_.push_back(add(kind));
  return values_.back();
}

void PickleMachine::push_int(int64_t number) { push(PickleKind::kInt).number = number; }

PickleRef PickleMachine::top() const {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("an opcode takes a value where the stack has none");
  return stack_.back();
}

PickleRef PickleMachine::pop() {
  const PickleRef ref = top();
  stack_.pop_back();
  return ref;
}

std::vector<PickleRef> PickleMachine::pop_to_mark() {
  if (marks_.empty()) fail("an opcode looks for a mark where there is none");
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<PickleRef> items(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return items;
}

PickleRef PickleMachine::run() {
  if (pickle_.size() > kMaxPickle) fail("it has " + std::to_string(pickle_.size()) + " bytes, more than 64 MiB");
  while (step()) {}
  const PickleRef result = pop();
  if (!stack_.empty() || !marks_.empty()) fail("values are left on the stack at its end");
  return result;
}

bool PickleMachine::step() {
  const auto opcode = static_cast<unsigned char>(take(1)[0]);
  switch (opcode) {
    case '.': return false;
    case 0x80:  // PROTO
      if (const uint64_t protocol = take_unsigned(1); protocol < 2 || protocol > 5) {
        fail("pickle protocol " + std::to_string(protocol) + " is not one of 2 to 5");
      }
      return true;
    case 0x95:  // FRAME: a hint for readers of streams
      if (take_unsigned(8) > pickle_.size() - at_) fail("a frame is longer than the pickle");
      return true;
    case '(':
      if (marks_.size() >= kMaxMarks) fail("it is nested deeper than " + std::to_string(kMaxMarks) + " levels");
      marks_.push_back(stack_.size());
      return true;
    default: break;
  }
  if (step_number(opcode) || step_text(opcode) || step_memo(opcode) || step_container(opcode) || step_object(opcode)) {
    return true;
  }
  --at_;
  fail("opcode " + hex(opcode) + " is not one that checkpoints use",
       "for safety only state dictionaries are read: save model.state_dict(), or better a .safetensors file");
}

bool PickleMachine::step_number(unsigned char opcode) {
  switch (opcode) {
    case 'N': push(PickleKind::kNone); return true;
    case 0x88: push(PickleKind::kBool).number = 1; return true;
    case 0x89: push(PickleKind::kBool).number = 0; return true;
    case 'K': push_int(static_cast<int64_t>(take_unsigned(1))); return true;
    case 'M': push_int(static_cast<int64_t>(take_unsigned(2))); return true;
    case 'J': push_int(static_cast<int32_t>(static_cast<uint32_t>(take_unsigned(4)))); return true;
    case 'G': take(8), push(PickleKind::kFloat); return true;  // the value is of no interest
    case 0x8a: {                                               // LONG1: two's complement of any width
      const uint64_t width = take_unsigned(1);
      if (width > 8) fail("an integer of " + std::to_string(width) + " bytes is out of range");
      uint64_t bits = take_unsigned(static_cast<int>(width));
      const uint64_t sign = width == 0 ? 0 : uint64_t{1} << (8 * width - 1);
      if (width < 8 && (bits & sign)) bits |= ~uint64_t{0} << (8 * width);
      push_int(static_cast<int64_t>(bits));
      return true;
    }
    default: return false;
  }
}

bool PickleMachine::step_text(unsigned char opcode) {
  int width = 0;
  if (opcode == 0x8c) width = 1;
  if (opcode == 'X') width = 4;
  if (opcode == 0x8d) width = 8;
  if (width == 0) return false;
  const uint64_t length = take_unsigned(width);
  if (length > kMaxText) fail("a string of " + std::to_string(length) + " bytes is longer than the 1 MiB allowed");
  const std::string_view text = take(length);
  push(PickleKind::kText).text = text;
  return true;
}

bool PickleMachine::step_memo(unsigned char opcode) {
  switch (opcode) {
    case 'q': remember(take_unsigned(1)); return true;
    case 'r': remember(take_unsigned(4)); return true;
    case 0x94: remember(memo_.size()); return true;
    case 'h': recall(take_unsigned(1)); return true;
    case 'j': recall(take_unsigned(4)); return true;
    default: return false;
  }
}

void PickleMachine::remember(uint64_t index) {
  const PickleRef ref = top();
  if (index >= kMaxValues)
    fail("memo entry " + std::to_string(index) + " is beyond the " + std::to_string(kMaxValues) + " allowed");
  if (index >= memo_.size()) memo_.resize(index + 1, kUnset);
  memo_[index] = ref;
}

void PickleMachine::recall(uint64_t index) {
  if (index >= memo_.size() || memo_[index] == kUnset)
    fail("memo entry " + std::to_string(index) + " was never stored");
  stack_.push_back(memo_[index]);
}

void PickleMachine::push_tuple(std::vector<PickleRef> items) { push(PickleKind::kTuple).items = std::move(items); }

bool PickleMachine::step_container(unsigned char opcode) {
  switch (opcode) {
    case ')': push(PickleKind::kTuple); return true;
    case '}': push(PickleKind::kDict); return true;
    case ']': push(PickleKind::kList); return true;
    case 0x8f: push(PickleKind::kSet); return true;
    case 't': push_tuple(pop_to_mark()); return true;
    case 0x85:
    case 0x86:
    case 0x87: {
      std::vector<PickleRef> items(opcode - 0x84u);
      for (size_t i = items.size(); i-- > 0;) items[i] = pop();
      push_tuple(std::move(items));
      return true;
    }
    case 'a': {
      const PickleRef item = pop();
      extend(PickleKind::kList, {item});
      return true;
    }
    case 's': {
      const PickleRef item = pop(), key = pop();
      extend(PickleKind::kDict, {key, item});
      return true;
    }
    case 'e': extend(PickleKind::kList, pop_to_mark()); return true;
    case 'u': extend(PickleKind::kDict, pop_to_mark()); return true;
    case 0x90: extend(PickleKind::kSet, pop_to_mark()); return true;
    default: return false;
  }
}

void PickleMachine::extend(PickleKind kind, const std::vector<PickleRef>& items) {
  PickleValue& container = values_[top()];
  if (container.kind != kind)
    fail(std::string(name_of(kind)) + " is expected, but " + name_of(container.kind) + " is on the stack");
  if (kind == PickleKind::kDict && items.size() % 2 != 0) fail("a dictionary gets a key without a value");
  container.items.insert(container.items.end(), items.begin(), items.end());
}

}  // namespace quamba2
