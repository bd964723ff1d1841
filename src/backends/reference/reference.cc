// SPDX-License-Identifier: Apache-2.0
// The reference back end: a table over ops/reference, with f64 edges and states.
#include "backends/reference/reference.h"

namespace quamba2 {
namespace {

template <class Args, void (*reference)(const Args&)>
struct Row {
  static Verdict supports(const Args&) { return {}; }
  static void run(const Args& args, const Stream&) { reference(args); }
  static constexpr Kernel<Args> kernel{"reference", supports, run};
  static constexpr KernelRows<Args> rows{&kernel, 1};
};

void run_serially(void*, void (*task)(void*, int), void* context) { task(context, 0); }

class ReferenceBackend : public Backend {
 public:
  const KernelTable& table() const override {
    static constexpr KernelTable kTable{
        "reference",
        Row<EmbedArgs, reference_embed>::rows,
        Row<SelectRowsArgs, reference_select_rows>::rows,
        Row<RmsNormArgs, reference_rms_norm>::rows,
        Row<LayerNormArgs, reference_layer_norm>::rows,
        Row<LinearArgs, reference_linear>::rows,
        Row<CausalConv1dArgs, reference_causal_conv1d>::rows,
        Row<SelectiveScanArgs, reference_selective_scan>::rows,
        Row<SsdScanArgs, reference_ssd_scan>::rows,
        Row<GateArgs, reference_gate>::rows,
        Row<GatedRmsNormArgs, reference_gated_rms_norm>::rows,
        Row<HadamardArgs, reference_hadamard>::rows,
        Row<AddArgs, reference_add>::rows,
        Row<ConvertArgs, reference_convert>::rows,
    };
    return kTable;
  }
  Stream stream() const override { return {run_serially, nullptr, 1, nullptr}; }
  DType float_type() const override { return DType::kF64; }
  std::string description() const override { return "double-precision reference"; }
};

}  // namespace

std::shared_ptr<Backend> make_reference_backend() { return std::make_shared<ReferenceBackend>(); }

}  // namespace quamba2
