// SPDX-License-Identifier: Apache-2.0
// Rows of a back end's kernel table. Included by ISA code: plain structs only, nothing inline that could be emitted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/causal_conv1d.h"
#include "ops/choose_token.h"
#include "ops/elementwise.h"
#include "ops/embed.h"
#include "ops/gate.h"
#include "ops/hadamard.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/select_rows.h"
#include "ops/selective_scan.h"
#include "ops/ssd_scan.h"

namespace quamba2 {

// Where kernels run: the threads of the CPU, or a device stream. Work is split by index: `parallel` calls
// task(context, i) for every i in [0, threads) and returns when all are done.
struct Stream {
  void (*parallel)(void* pool, void (*task)(void* context, int index), void* context) = nullptr;
  void* pool = nullptr;
  int32_t threads = 1;
  char* scratch = nullptr;  // at least what the kernel's scratch_bytes asked for, 64-byte aligned; contents undefined
  void* device = nullptr;   // the device's stream; scratch, and all that arguments point to, is then device memory
};

// Yes, or the reason why not as static text ("needs K divisible by 32").
struct Verdict {
  const char* refusal = nullptr;
};

// One row. `supports` looks at shapes and formats only, with the token dimension at its largest. The token dimension may
// then be anything from 1 to that. `run` is noexcept: everything was checked at plan time.
template <class Args>
struct Kernel {
  const char* name;
  Verdict (*supports)(const Args& args);
  void (*run)(const Args& args, const Stream& stream);
  // Bytes of scratch that `run` needs for these (largest) arguments; null for none.
  size_t (*scratch_bytes)(const Args& args, int32_t threads) = nullptr;
  // The weight in the kernel's own layout: its size, and the re-laying (64-byte aligned, zeroed destination). Null where
  // the kernel reads canonical weights.
  size_t (*prepared_bytes)(const Args& args) = nullptr;
  void (*prepare)(const Args& args, void* destination, const Stream& stream) = nullptr;
  // For linear kernels: decodes one row of the prepared weight.
  ReadWeightRow read_row = nullptr;
};

template <class Args>
struct KernelRows {
  const Kernel<Args>* rows = nullptr;
  int32_t count = 0;
};

// Best rows first.
struct KernelTable {
  const char* name = "";  // "avx512vnni"
  KernelRows<EmbedArgs> embed;
  KernelRows<SelectRowsArgs> select_rows;
  KernelRows<RmsNormArgs> rms_norm;
  KernelRows<LayerNormArgs> layer_norm;
  KernelRows<LinearArgs> linear;
  KernelRows<CausalConv1dArgs> causal_conv1d;
  KernelRows<SelectiveScanArgs> selective_scan;
  KernelRows<SsdScanArgs> ssd_scan;
  KernelRows<GateArgs> gate;
  KernelRows<GatedRmsNormArgs> gated_rms_norm;
  KernelRows<HadamardArgs> hadamard;
  KernelRows<AddArgs> add;
  KernelRows<ConvertArgs> convert;
  // Of devices alone: elsewhere the runtime's sampler chooses.
  KernelRows<ChooseTokenArgs> choose_token = {};
  KernelRows<FollowTokensArgs> follow_tokens = {};
};

}  // namespace quamba2
