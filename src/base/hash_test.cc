// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <gtest/gtest.h>

namespace quamba2 {
namespace {

uint64_t hash_of(std::string_view text) {
  Fnv1a hash;
  hash.add(text);
  return hash.value();
}

// Values that the authors of FNV publish with their code.
TEST(Fnv1a, GivesThePublishedValues) {
  EXPECT_EQ(hash_of(""), 0xcbf29ce484222325ull);
  EXPECT_EQ(hash_of("a"), 0xaf63dc4c8601ec8cull);
  EXPECT_EQ(hash_of("foobar"), 0x85944171f73967e8ull);
}

TEST(Fnv1a, FieldsHaveEnds) {
  Fnv1a one, other;
  one.add_field("ab");
  one.add_field("c");
  other.add_field("a");
  other.add_field("bc");
  EXPECT_NE(one.value(), other.value());
}

TEST(HexDigits, AreSixteen) {
  EXPECT_EQ(hex_digits(0), "0000000000000000");
  EXPECT_EQ(hex_digits(0x0123456789abcdefull), "0123456789abcdef");
}

}  // namespace
}  // namespace quamba2
