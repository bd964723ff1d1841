// SPDX-License-Identifier: Apache-2.0
// What the harness knows of each op: its reference, and which operands it writes.
#pragma once

#include <vector>

#include "backend/op_args.h"

namespace quamba2::testing {

struct Output {
  Operand* operand;
  bool read_first;  // a state: its contents matter before the call
};

#define QUAMBA2_TEST_OP(Args, member)                         \
  inline const char* op_name(const Args&) { return #member; } \
  inline void run_reference(const Args& args) { reference_##member(args); }

QUAMBA2_TEST_OP(RmsNormArgs, rms_norm)
QUAMBA2_TEST_OP(LayerNormArgs, layer_norm)
QUAMBA2_TEST_OP(GateArgs, gate)
QUAMBA2_TEST_OP(GatedRmsNormArgs, gated_rms_norm)
QUAMBA2_TEST_OP(HadamardArgs, hadamard)
QUAMBA2_TEST_OP(AddArgs, add)
QUAMBA2_TEST_OP(ConvertArgs, convert)
QUAMBA2_TEST_OP(SelectRowsArgs, select_rows)
QUAMBA2_TEST_OP(CausalConv1dArgs, causal_conv1d)
QUAMBA2_TEST_OP(SelectiveScanArgs, selective_scan)
QUAMBA2_TEST_OP(SsdScanArgs, ssd_scan)
#undef QUAMBA2_TEST_OP

template <class Args>
std::vector<Output> outputs_of(Args& args) {
  if constexpr (requires { args.out.part; }) {
    std::vector<Output> all;
    for (int i = 0; i < args.out.count; ++i) all.push_back({&args.out.part[i], false});
    if constexpr (requires { args.state; }) all.push_back({&args.state, true});
    return all;
  } else if constexpr (requires { args.state; }) {
    return {{&args.out, false}, {&args.state, true}};
  } else if constexpr (requires { args.sum; }) {
    if (args.sum.values.rank > 0) return {{&args.out, false}, {&args.sum, false}};
    return {{&args.out, false}};
  } else {
    return {{&args.out, false}};
  }
}

}  // namespace quamba2::testing
