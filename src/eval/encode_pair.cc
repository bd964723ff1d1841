// SPDX-License-Identifier: Apache-2.0
#include "eval/encode_pair.h"

#include <algorithm>

#include "quamba2/error.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

// A state is worth keeping for this many tokens: saving and loading it takes about as long as reading some of them.
constexpr size_t kWorthSharing = 16;

// What Python's str.rstrip() takes away.
bool is_python_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// Bytes of valid UTF-8 without the white space at its end.
size_t length_without_trailing_space(std::string_view text) {
  while (!text.empty()) {
    size_t at = utf8_last(text);
    const size_t begin = at;
    if (!is_python_space(utf8_next(text, &at))) break;
    text = text.substr(0, begin);
  }
  return text.size();
}

Error bad_continuation(const std::string& why) {
  return Error(ErrorCode::kUsage, "continuation cannot be scored", "", why);
}

}  // namespace

const std::vector<int32_t>& PairEncoder::encode_once(const std::string& text, Remembered* memory) const {
  if (!memory->set || memory->text != text) *memory = {text, tokenizer_.encode(text, true), true};
  return memory->ids;
}

void PairEncoder::begin_with_prefix(EncodedPair* pair) const {
  pair->context = {prefix_id_};
  if (!pair->continuation.empty() && pair->continuation[0] == prefix_id_)
    pair->continuation.erase(pair->continuation.begin());
}

void PairEncoder::split_shared(const std::string& shared, EncodedPair* pair) {
  if (shared.empty()) return;
  const std::vector<int32_t>& ids = encode_once(shared, &last_shared_);
  const auto same = std::mismatch(ids.begin(), ids.end(), pair->context.begin(), pair->context.end()).second;
  const auto count = static_cast<size_t>(same - pair->context.begin());
  if (count < kWorthSharing || count == pair->context.size()) return;
  pair->shared.assign(pair->context.begin(), same);
  pair->context.erase(pair->context.begin(), same);
}

void PairEncoder::truncate(EncodedPair* pair) const {
  const auto most = static_cast<size_t>(max_length_);
  if (pair->continuation.size() > most) {
    throw bad_continuation("it has " + std::to_string(pair->continuation.size()) + " tokens, " + std::to_string(most) +
                           " at most");
  }
  const size_t room = most + 1 - pair->continuation.size();
  if (pair->context.size() <= room) return;
  pair->context.erase(pair->context.begin(), pair->context.end() - static_cast<ptrdiff_t>(room));
}

EncodedPair PairEncoder::encode(const std::string& shared, const std::string& context,
                                const std::string& continuation) {
  std::string text = shared + context, rest = continuation;
  const size_t length = length_without_trailing_space(text);
  rest.insert(0, text, length);
  text.resize(length);
  EncodedPair pair;
  if (text.empty()) {
    pair.continuation = tokenizer_.encode(rest);
    begin_with_prefix(&pair);
  } else {
    pair.context = encode_once(text, &last_context_);
    pair.continuation = tokenizer_.encode(text + rest, true);
    const size_t cut = std::min(pair.context.size(), pair.continuation.size());
    pair.continuation.erase(pair.continuation.begin(), pair.continuation.begin() + static_cast<ptrdiff_t>(cut));
  }
  if (pair.continuation.empty()) throw bad_continuation("it has no tokens of its own behind its context");
  const size_t before = pair.context.size();
  truncate(&pair);
  if (pair.context.size() == before) split_shared(shared, &pair);
  return pair;
}

}  // namespace quamba2
