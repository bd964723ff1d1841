// SPDX-License-Identifier: Apache-2.0
// linear with float activations (others are decoded to f32 first), one row a weight format.
//
// Every output is a sum in ascending k by one accumulator: of x * w for float weights; for integer weights of x * code
// inside a group, then total = scale * sum + total. One token and many add in the same order, hence give equal bits.

namespace quamba2::QUAMBA2_ISA {
namespace {

inline const char* refuse_activations(const Operand& x) {
  const Format& f = x.format;
  if (x.values.rank != 2) return "needs activations [T, K]";
  if (is_float_type(f.storage)) return f.levels == 0 ? nullptr : "needs float activations without scales";
  if (f.storage != DType::kI8 || f.levels != 1) return "needs f32, f16, bf16 or i8 activations";
  if (is_dynamic_row(f)) return nullptr;
  if (f.level[0].grain != Grain::kTensor && f.level[0].grain != Grain::kColumn) {
    return "needs activation scales a tensor, row or column";
  }
  return is_float_type(f.level[0].dtype) ? nullptr : "needs float activation scales";
}

inline Verdict supports_linear_any(const LinearArgs& args) {
  if (const char* why = refuse_weight(args.weight)) return {why};
  if (const char* why = refuse_activations(args.x)) return {why};
  if (args.x.values.dim[1] != args.weight.values.dim[1]) return {"needs equal inner dimensions"};
  if (args.bias.data != nullptr && args.bias.dtype != DType::kF32) return {"needs an f32 bias"};
  return {refuse_outputs(args.out)};
}

template <DType kType>
Verdict supports_linear(const LinearArgs& args) {
  if (args.weight.format.storage != kType) return {"is for another weight type"};
  if (args.weight.format.levels > 1) return {"needs one level of weight scales"};
  return supports_linear_any(args);
}

template <class Codes>
void run_linear(const LinearArgs& args, const Stream& stream) {
  const int64_t tokens = args.x.values.dim[0];
  const Panels<Codes> panels(args.weight);
  if (tokens > kGemvRows) return linear_gemm<Codes>(args, panels, tokens, stream);
  if (tokens < 1) return;
  const float* x = static_cast<const float*>(args.x.values.data);
  int64_t ldx = args.x.values.stride[0];
  if (args.x.format.storage != DType::kF32) {
    float* decoded = reinterpret_cast<float*>(stream.scratch);
    for (int64_t t = 0; t < tokens; ++t) decode_activations(args.x, t, 0, panels.inner, decoded + t * panels.inner);
    x = decoded;
    ldx = panels.inner;
  }
  linear_gemv<Codes>(args, panels, tokens, x, ldx, stream);
}

inline size_t linear_scratch_bytes(const LinearArgs& args, int32_t threads) {
  const GemmScratch scratch(args.x.values.dim[0], args.weight.values.dim[1]);
  return static_cast<size_t>(scratch.row_floats + threads * scratch.thread_floats) * sizeof(float);
}

template <class Codes>
constexpr Kernel<LinearArgs> linear_row(const char* name, Verdict (*supports)(const LinearArgs&)) {
  return {name,
          supports,
          run_linear<Codes>,
          linear_scratch_bytes,
          linear_prepared_bytes<Codes>,
          linear_prepare<Codes>,
          linear_read_row<Codes>};
}

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
