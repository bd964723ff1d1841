// SPDX-License-Identifier: Apache-2.0
// How linear_grouped holds INT4 and INT6 weights with a scale a group: codes stay packed, and are unpacked to unsigned bytes
// (code + kOffset) in registers, four consecutive k of a channel in each lane.
//
//   panel (kTileColumns channels, 64-byte aligned):
//     scale [groups][kTileColumns]                          as given
//     codes [K / kUnit][2 halves][kParts][kLanes][4 bytes]  lanes are channels; byte j of
//       INT4  part 0: k = j in the low, 4 + j in the high nibble
//       INT6  part 0: the low nibbles of k = j and 4 + j; part 1: of 8 + j and 12 + j;
//             part 2: the top two bits of k = j, 4 + j, 8 + j and 12 + j

namespace quamba2::QUAMBA2_ISA {
namespace {

struct GroupedI4 {
  static constexpr DType kType = DType::kI4;
  static constexpr int kUnit = 8, kParts = 1, kOffset = 8;
  QUAMBA2_INLINE static void put(const uint8_t* code, int j, uint8_t (&part)[kParts]) {
    part[0] = static_cast<uint8_t>(code[j] | code[4 + j] << 4);
  }
  QUAMBA2_INLINE static int get(const uint8_t (&part)[kParts], int i) { return part[0] >> (4 * i) & 15; }
  // The four k from 4 * i on of a half: `i` is known at compile time once loops are unrolled.
  QUAMBA2_INLINE static I32 unpack(const int32_t* p, int i) {
    return bit_and(i == 0 ? load(p) : shift_right<4>(load(p)), broadcast(0x0f0f0f0f));
  }
};

struct GroupedI6 {
  static constexpr DType kType = DType::kI6;
  static constexpr int kUnit = 16, kParts = 3, kOffset = 32;
  QUAMBA2_INLINE static void put(const uint8_t* code, int j, uint8_t (&part)[kParts]) {
    const int a = code[j], b = code[4 + j], c = code[8 + j], d = code[12 + j];
    part[0] = static_cast<uint8_t>((a & 15) | (b & 15) << 4);
    part[1] = static_cast<uint8_t>((c & 15) | (d & 15) << 4);
    part[2] = static_cast<uint8_t>(a >> 4 | b >> 4 << 2 | c >> 4 << 4 | d >> 4 << 6);
  }
  QUAMBA2_INLINE static int get(const uint8_t (&part)[kParts], int i) {
    return (part[i / 2] >> (i % 2 * 4) & 15) | (part[2] >> (2 * i) & 3) << 4;
  }
  QUAMBA2_INLINE static I32 unpack(const int32_t* p, int i) {
    const I32 codes = load(p + i / 2 * kLanes), top = load(p + 2 * kLanes);
    const I32 low = bit_and(i % 2 == 0 ? codes : shift_right<4>(codes), broadcast(0x0f0f0f0f));
    const I32 high = i == 0 ? shift_left<4>(top) : i == 1 ? shift_left<2>(top) : i == 2 ? top : shift_right<2>(top);
    return bit_or(low, bit_and(high, broadcast(0x30303030)));
  }
};

template <class Codes>
struct GroupedPanels {
  static constexpr int64_t kUnitBytes = 2 * Codes::kParts * kLanes * 4;
  int64_t outputs, inner, group, groups, count, codes_offset, panel_bytes;
  GroupScales scales;
  explicit GroupedPanels(const Operand& w)
      : outputs(w.values.dim[0]), inner(w.values.dim[1]), group(smaller<int64_t>(weight_group(w), inner)), scales(w) {
    groups = ceil_div(inner, group);
    count = ceil_div(outputs, kTileColumns);
    codes_offset = round_up(groups * kTileColumns * scales.bytes(), 64);
    panel_bytes = round_up(codes_offset + inner / Codes::kUnit * kUnitBytes, 64);
  }
  QUAMBA2_INLINE const char* panel(const void* prepared, int64_t p) const {
    return static_cast<const char*>(prepared) + p * panel_bytes;
  }
  QUAMBA2_INLINE const char* codes(const char* panel, int64_t unit) const {
    return panel + codes_offset + unit * kUnitBytes;
  }
  QUAMBA2_INLINE int64_t units(int64_t g) const { return smaller(group, inner - g * group) / Codes::kUnit; }
  // Where byte j of a part of a channel lies in a unit.
  QUAMBA2_INLINE static int64_t at(int channel, int part, int j) {
    return ((channel / kLanes * Codes::kParts + part) * kLanes + channel % kLanes) * 4 + j;
  }
};

template <class Codes>
size_t grouped_prepared_bytes(const LinearArgs& args) {
  const GroupedPanels<Codes> panels(args.weight);
  return static_cast<size_t>(panels.count * panels.panel_bytes);
}

template <class Codes>
void grouped_prepare_row(const Operand& w, const GroupedPanels<Codes>& panels, int64_t n, char* panel) {
  const int channel = static_cast<int>(n % kTileColumns);
  for (int64_t g = 0; g < panels.groups; ++g)
    panels.scales.put(panel, g, channel, weight_scale(w, n, g * panels.group));
  for (int64_t u = 0; u < panels.inner / Codes::kUnit; ++u) {
    int8_t signed_code[Codes::kUnit];
    uint8_t code[Codes::kUnit], part[Codes::kParts];
    weight_codes_row(w, n, u * Codes::kUnit, Codes::kUnit, signed_code);
    for (int i = 0; i < Codes::kUnit; ++i) code[i] = static_cast<uint8_t>(signed_code[i] + Codes::kOffset);
    char* unit = const_cast<char*>(panels.codes(panel, u));
    for (int j = 0; j < 4; ++j) {
      Codes::put(code, j, part);
      for (int i = 0; i < Codes::kParts; ++i) unit[panels.at(channel, i, j)] = static_cast<char>(part[i]);
    }
  }
}

template <class Codes>
void grouped_prepare(const LinearArgs& args, void* destination, const Stream& stream) {
  prepare_rows<GroupedPanels<Codes>>(args, destination, stream, grouped_prepare_row<Codes>);
}

template <class Codes>
void grouped_read_row(const Operand& table, const void* prepared, int32_t row, float* out) {
  const GroupedPanels<Codes> panels(table);
  const char* panel = panels.panel(prepared, row / kTileColumns);
  const int channel = row % kTileColumns;
  for (int64_t k = 0; k < panels.inner; ++k) {
    const char* unit = panels.codes(panel, k / Codes::kUnit);
    const int i = static_cast<int>(k % Codes::kUnit);
    uint8_t part[Codes::kParts];
    for (int p = 0; p < Codes::kParts; ++p) part[p] = static_cast<uint8_t>(unit[panels.at(channel, p, i % 4)]);
    const float scale = panels.scales.get(panel, k / panels.group, channel);
    out[k] = static_cast<float>(Codes::get(part, i / 4) - Codes::kOffset) * scale;
  }
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
