// SPDX-License-Identifier: Apache-2.0
// GPT-2's byte alphabet: every byte has a printable character of its own, so that vocabularies are valid text. Bytes
// that are printable in Latin-1 stand for themselves; the other 68 are U+0100, U+0101, ... in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quamba2 {

char32_t byte_to_character(uint8_t byte);
// -1 for a character outside the alphabet.
int character_to_byte(char32_t c);

std::string map_bytes(std::string_view bytes);
// The bytes that `token` stands for; a token with a character outside the alphabet stands for its own UTF-8 bytes.
std::string unmap_bytes(std::string_view token);

}  // namespace quamba2
