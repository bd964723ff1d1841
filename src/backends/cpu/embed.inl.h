// SPDX-License-Identifier: Apache-2.0
// embed (ops/embed.h): table rows, decoded to f32. A tied table lives in the layout of a linear kernel, which reads it.

namespace quamba2::QUAMBA2_ISA {
namespace {

inline Verdict supports_embed(const EmbedArgs& args) {
  if (args.out.format.storage != DType::kF32) return {"needs an f32 output"};
  if (args.read_row != nullptr) return {};
  return {refuse_weight(args.table)};
}

inline void run_embed(const EmbedArgs& args, const Stream& stream) {
  const int32_t tokens = args.ids.dim[0], width = args.table.values.dim[1];
  run_parallel(stream, [&](int index) {
    const Share share = share_of(tokens, index, stream.threads);
    for (int64_t t = share.begin; t < share.end; ++t) {
      const int32_t id = load_as<int32_t>(args.ids.data, t);
      float* out = static_cast<float*>(args.out.values.data) + t * args.out.values.stride[0];
      if (args.read_row != nullptr && args.prepared != nullptr) {
        args.read_row(args.table, args.prepared, id, out);
      } else {
        decode_weight_row(args.table, id, 0, width, out);
      }
    }
  });
}

constexpr Kernel<EmbedArgs> kEmbedRows[] = {{"embed_" QUAMBA2_ISA_NAME, supports_embed, run_embed}};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
