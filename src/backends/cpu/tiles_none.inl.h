// SPDX-License-Identifier: Apache-2.0
// Of levels without matrix tiles (what the words mean: tiles_amx.inl.h).

namespace quamba2::QUAMBA2_ISA {
namespace {

struct Tiles {
  static constexpr bool kHere = false;
};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
