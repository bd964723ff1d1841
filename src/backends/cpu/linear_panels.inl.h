// SPDX-License-Identifier: Apache-2.0
// Prepared weights of linear kernels with float activations: where panels, groups and scales lie, re-laying, reading rows.
//
//   panel p (channels [p * kTileColumns, ...)), 64-byte aligned:
//     scales  [groups][kTileColumns]   f16 or f32, as given; none for float weights
//     codes   [groups][steps of a group][2 vectors][kLanes][kBytes]     every group starts with a new step

namespace quamba2::QUAMBA2_ISA {
namespace {

// The scales of groups at the beginning of a panel, [groups][kTileColumns], in the type that they were given in.
struct GroupScales {
  DType type;
  explicit GroupScales(const Operand& w) : type(w.format.level[0].dtype) {}
  QUAMBA2_INLINE int64_t bytes() const { return type == DType::kF32 ? 4 : 2; }  // of one
  // Of a vector of channels.
  QUAMBA2_INLINE F32 of(const char* panel, int64_t g, int vector) const {
    const int64_t i = g * kTileColumns + vector * kLanes;
    if (type == DType::kF32) return load(reinterpret_cast<const float*>(panel) + i);
    return load_f16(reinterpret_cast<const uint16_t*>(panel) + i);
  }
  float get(const char* panel, int64_t g, int64_t channel) const {
    return load_float(panel, type, g * kTileColumns + channel);
  }
  void put(char* panel, int64_t g, int64_t channel, float scale) const {
    const uint16_t half = float_to_f16(scale);  // exact where it is used: it had that type
    char* to = panel + (g * kTileColumns + channel) * bytes();
    if (type == DType::kF32)
      __builtin_memcpy(to, &scale, 4);
    else
      __builtin_memcpy(to, &half, 2);
  }
};

template <class Codes>
struct Panels {
  int64_t outputs, inner, group, groups, count;
  int64_t group_bytes, codes_offset, panel_bytes;
  GroupScales scales;

  explicit Panels(const Operand& w) : outputs(w.values.dim[0]), inner(w.values.dim[1]), scales(w) {
    group = Codes::kScaled ? smaller<int64_t>(weight_group(w), larger<int64_t>(inner, 1)) : larger<int64_t>(inner, 1);
    groups = ceil_div(inner, group);
    count = ceil_div(outputs, kTileColumns);
    group_bytes = ceil_div(group, Codes::kStep) * kTileColumns * Codes::kBytes;
    codes_offset = Codes::kScaled ? round_up(groups * kTileColumns * scales.bytes(), 64) : 0;
    const int64_t last = inner - (larger<int64_t>(groups, 1) - 1) * group;
    const int64_t codes =
        larger<int64_t>(groups - 1, 0) * group_bytes + ceil_div(last, Codes::kStep) * kTileColumns * Codes::kBytes;
    panel_bytes = codes_offset + round_up(codes, 64);
  }
  QUAMBA2_INLINE const char* panel(const void* prepared, int64_t p) const {
    return static_cast<const char*>(prepared) + p * panel_bytes;
  }
  QUAMBA2_INLINE int64_t group_length(int64_t g) const { return smaller(group, inner - g * group); }
  QUAMBA2_INLINE const char* codes(const char* at, int64_t g) const { return at + codes_offset + g * group_bytes; }
};

// A vector of step s of a group.
template <class Codes>
QUAMBA2_INLINE const char* step_vector(const char* codes, int64_t s, int vector) {
  return codes + (s * 2 + vector) * (kLanes * Codes::kBytes);
}

QUAMBA2_INLINE void read_source(const Operand& w, int64_t row, int64_t begin, int64_t count, float* out) {
  decode_weight_row(w, row, begin, count, out);
}
QUAMBA2_INLINE void read_source(const Operand& w, int64_t row, int64_t begin, int64_t count, int8_t* out) {
  weight_codes_row(w, row, begin, count, out);
}

template <class Codes>
size_t linear_prepared_bytes(const LinearArgs& args) {
  const Panels<Codes> panels(args.weight);
  return static_cast<size_t>(panels.count * panels.panel_bytes);
}

// Channel n of its panel. Blocks of k keep the panel's lines in the first-level cache until all lanes have been there.
template <class Codes>
inline void prepare_block(const Operand& w, const Panels<Codes>& panels, int64_t n, int64_t g, int64_t begin,
                          int64_t count, char* codes) {
  constexpr int64_t kBlock = 256;
  typename Codes::Element block[kBlock + Codes::kStep];
  const int lane = static_cast<int>(n % kTileColumns);
  read_source(w, n, g * panels.group + begin, count, block);
  for (int64_t i = count; i < round_up(count, Codes::kStep); ++i) block[i] = 0;
  for (int64_t i = 0; i < count; i += Codes::kStep) {
    char* vector = const_cast<char*>(step_vector<Codes>(codes, (begin + i) / Codes::kStep, lane / kLanes));
    Codes::put(vector, lane % kLanes, block + i);
  }
}

template <class Codes>
void linear_prepare_panel(const Operand& w, const Panels<Codes>& panels, int64_t p, char* at) {
  const int64_t first_row = p * kTileColumns, rows = smaller<int64_t>(kTileColumns, panels.outputs - first_row);
  for (int64_t g = 0; g < panels.groups; ++g) {
    if constexpr (Codes::kScaled) {
      for (int64_t r = 0; r < rows; ++r) panels.scales.put(at, g, r, weight_scale(w, first_row + r, g * panels.group));
    }
    char* codes = const_cast<char*>(panels.codes(at, g));
    const int64_t length = panels.group_length(g);
    for (int64_t begin = 0; begin < length; begin += 256) {
      for (int64_t r = 0; r < rows; ++r) {
        prepare_block<Codes>(w, panels, first_row + r, g, begin, smaller<int64_t>(256, length - begin), codes);
      }
    }
  }
}

template <class Codes>
void linear_prepare(const LinearArgs& args, void* destination, const Stream& stream) {
  const Panels<Codes> panels(args.weight);
  run_parallel(stream, [&](int index) {
    const Share share = share_of(panels.count, index, stream.threads);
    for (int64_t p = share.begin; p < share.end; ++p) {
      linear_prepare_panel<Codes>(args.weight, panels, p, static_cast<char*>(destination) + p * panels.panel_bytes);
    }
  });
}

template <class Codes>
void linear_read_row(const Operand& table, const void* prepared, int32_t row, float* out) {
  const Panels<Codes> panels(table);
  const char* at = panels.panel(prepared, row / kTileColumns);
  const int lane = row % kTileColumns;
  for (int64_t g = 0; g < panels.groups; ++g) {
    float scale = 1.0f;
    if constexpr (Codes::kScaled) scale = panels.scales.get(at, g, lane);
    const int64_t length = panels.group_length(g);
    for (int64_t k = 0; k < length; k += Codes::kStep) {
      typename Codes::Element step[Codes::kStep];
      Codes::get(step_vector<Codes>(panels.codes(at, g), k / Codes::kStep, lane / kLanes), lane % kLanes, step);
      const int64_t n = smaller<int64_t>(Codes::kStep, length - k);
      for (int64_t i = 0; i < n; ++i) {
        out[g * panels.group + k + i] =
            Codes::kScaled ? static_cast<float>(step[i]) * scale : static_cast<float>(step[i]);
      }
    }
  }
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
