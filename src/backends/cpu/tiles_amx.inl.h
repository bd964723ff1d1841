// SPDX-License-Identifier: Apache-2.0
// Matrix tiles of AMX: registers of 16 rows by 64 bytes, and their products of i8. A block is 32 tokens by 32 channels, two
// tiles each way; per 64 k it loads two tiles of activations and two of weights for four products:
//
//              B0   B1       weights, 16 channels each: rows are four consecutive k of all channels, as panels have them
//         A0 | C0 | C1 |
//         A1 | C2 | C3 |     sums of 16 tokens by 16 channels
//
// A thread must load the configuration before it touches a tile, or dies; it gives tiles back so that its context stays small.
#include <immintrin.h>

namespace quamba2::QUAMBA2_ISA {
namespace {

struct Tiles {
  static constexpr bool kHere = true;
  static constexpr int kRows = 16;               // tokens of a tile
  static constexpr int kDepth = 64;              // k of a tile
  static constexpr int kBlock = 2 * kRows;       // tokens of a block
  static constexpr int kBytes = kRows * kDepth;  // of a tile of activations
  static constexpr int64_t kRowBlock = 512;      // tokens whose codes stay in the second-level cache

  // Holds the configuration of this thread: all eight tiles at their largest.
  class Session {
   public:
    Session() {
      struct alignas(64) {
        uint8_t palette = 1, start_row = 0, reserved[14] = {};
        uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
      } config;
      _tile_loadconfig(&config);
    }
    ~Session() { _tile_release(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
  };

  // sums [32][32] <- products over `depth` tiles. a: two runs of `depth` tiles [16][64], one run after the other; codes: rows
  // of 128 bytes, as dot_codes gives them.
  static void multiply(const int8_t* a, const int8_t* codes, int64_t depth, int32_t* sums) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const int8_t* below = a + depth * kBytes;
    for (int64_t d = 0; d < depth; ++d) {
      _tile_loadd(4, a + d * kBytes, kDepth);
      _tile_loadd(6, codes, 128);
      _tile_loadd(7, codes + 64, 128);
      _tile_loadd(5, below + d * kBytes, kDepth);
      _tile_dpbssd(0, 4, 6);
      _tile_dpbssd(1, 4, 7);
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
      codes += kRows * 128;
    }
    _tile_stored(0, sums, 128);
    _tile_stored(1, sums + 16, 128);
    _tile_stored(2, sums + 16 * 32, 128);
    _tile_stored(3, sums + 16 * 32 + 16, 128);
  }

  // For ceilings.h: products of tiles that are loaded once.
  static constexpr int64_t kPeakOperations = 4 * 2 * kRows * kRows * kDepth;
  static float peak(int64_t rounds) {
    const Session session;
    alignas(64) int8_t bytes[kBytes];
    alignas(64) int32_t sums[kRows * kRows];
    for (int i = 0; i < kBytes; ++i) bytes[i] = static_cast<int8_t>(i);
    _tile_loadd(4, bytes, kDepth);
    _tile_loadd(5, bytes, kDepth);
    _tile_loadd(6, bytes, kDepth);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < rounds; ++k) {
      _tile_dpbssd(0, 4, 6);
      _tile_dpbssd(1, 5, 6);
      _tile_dpbssd(2, 4, 5);
      _tile_dpbssd(3, 6, 5);
    }
    _tile_stored(0, sums, 64);
    return static_cast<float>(sums[0]);
  }
};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
