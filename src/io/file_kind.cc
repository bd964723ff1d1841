// SPDX-License-Identifier: Apache-2.0
#include "io/file_kind.h"

#include "quamba2/error.h"

namespace quamba2 {
namespace {

// Bytes of the well-formed UTF-8 sequence at `at`, or 0. Control characters (C0, DEL, C1) count as malformed.
size_t sequence_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned lead = byte(0);
  if (lead >= 0x20 && lead < 0x7F) return 1;
  if (lead >= 0xC2 && lead <= 0xDF && follows(1)) return lead == 0xC2 && byte(1) < 0xA0 ? 0 : 2;
  if (lead >= 0xE0 && lead <= 0xEF && follows(1) && follows(2)) {
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0, surrogate = lead == 0xED && byte(1) > 0x9F;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4 && follows(1) && follows(2) && follows(3)) {
    const bool overlong = lead == 0xF0 && byte(1) < 0x90, too_large = lead == 0xF4 && byte(1) > 0x8F;
    return overlong || too_large ? 0 : 4;
  }
  return 0;
}

}  // namespace

std::string printable(std::string_view text) {
  constexpr size_t kLongest = 200;
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text, i);
    if (out.size() + (length ? length : 1) > kLongest) return out + "...";
    if (length == 0) {
      out += '?';
      ++i;
    } else {
      out.append(text.substr(i, length));
      i += length;
    }
  }
  return out;
}

void refuse_placeholder(std::string_view file, const std::string& where) {
  if (file.empty()) {
    throw Error(ErrorCode::kModelFile, "cannot read weights", where, "the file is empty",
                "an interrupted download leaves such a file; fetch it again");
  }
  if (file.starts_with("version https://git-lfs.github.com/spec/")) {
    throw Error(ErrorCode::kModelFile, "cannot read weights", where,
                "it is a Git LFS pointer, not the weights themselves", "run `git lfs pull` in that directory");
  }
  if (file.starts_with("<!DOCTYPE") || file.starts_with("<!doctype") || file.starts_with("<html")) {
    throw Error(ErrorCode::kModelFile, "cannot read weights", where, "it is a web page, not the weights themselves",
                "the download gave an error page; fetch the file again");
  }
}

}  // namespace quamba2
