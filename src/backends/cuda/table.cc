// SPDX-License-Identifier: Apache-2.0
#include "backends/cuda/table.h"

#include <quamba2_cuda_architectures.h>  // made by CMake

#include <map>
#include <mutex>

#include "backends/cuda/causal_conv1d_rows.h"
#include "backends/cuda/choose_token_rows.h"
#include "backends/cuda/elementwise_rows.h"
#include "backends/cuda/hadamard_rows.h"
#include "backends/cuda/linear_rows.h"
#include "backends/cuda/norm_rows.h"
#include "backends/cuda/scan_rows.h"

namespace quamba2 {
namespace {

struct NamedTable {
  std::string name;
  KernelTable table;
};

// Rows are in the headers <op>_rows.h, one function each that takes the compute capability.
KernelTable collect(int32_t architecture) {
  KernelTable t;
  t.embed = cuda_embed_rows();
  t.select_rows = cuda_select_rows_rows();
  t.rms_norm = cuda_rms_norm_rows();
  t.layer_norm = cuda_layer_norm_rows();
  t.linear = cuda_linear_rows(architecture);
  t.causal_conv1d = cuda_causal_conv1d_rows();
  t.selective_scan = cuda_selective_scan_rows(architecture);
  t.ssd_scan = cuda_ssd_scan_rows(architecture);
  t.gate = cuda_gate_rows();
  t.gated_rms_norm = cuda_gated_rms_norm_rows();
  t.hadamard = cuda_hadamard_rows();
  t.add = cuda_add_rows();
  t.convert = cuda_convert_rows();
  t.choose_token = cuda_choose_token_rows();
  t.follow_tokens = cuda_follow_tokens_rows();
  return t;
}

}  // namespace

// Machine code runs on its own minor version and later ones of its major version; a 90a is for 9.0 alone.
bool has_cuda_table(int32_t architecture) {
  for (const BuiltFor& built : kBuiltFor) {
    if (built.architecture == architecture) return true;
    if (built.exact) continue;
    if (architecture > built.architecture && (built.ptx || architecture / 10 == built.architecture / 10)) return true;
  }
  return false;
}

std::string cuda_architectures() {
  std::string out;
  for (const BuiltFor& built : kBuiltFor) {
    out += (out.empty() ? "" : ", ") + std::to_string(built.architecture / 10) + "." +
           std::to_string(built.architecture % 10) + (built.ptx ? " and newer" : "");
  }
  return out;
}

const KernelTable& cuda_table(int32_t architecture) {
  static std::mutex mutex;
  static std::map<int32_t, NamedTable> tables;
  const std::lock_guard<std::mutex> lock(mutex);
  NamedTable& named = tables[architecture];
  if (named.name.empty()) {
    named.table = collect(architecture);
    named.name = "sm_" + std::to_string(architecture);
    named.table.name = named.name.c_str();
  }
  return named.table;
}

}  // namespace quamba2
