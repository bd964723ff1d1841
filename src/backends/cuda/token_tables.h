// SPDX-License-Identifier: Apache-2.0
// The tables of a token program (token_program.cuh), made once from what is on the device.
#pragma once

#include <vector>

#include "backend/device.h"
#include "backends/cuda/token_program.cuh"
#include "ops/causal_conv1d.h"
#include "ops/gate.h"
#include "ops/ssd_scan.h"

namespace quamba2::cuda {

// A linear phase hands on its results in the order of its weight's rows, each part in its format.
struct HandedPart {
  Numbers numbers;  // no data
  int32_t begin;    // its first row
};

class TokenTables {
 public:
  explicit TokenTables(Device& device) : device_(device) {}

  // One a row of weights; `row_scales` of the device, or null.
  const ResultColumn* results(const LinearArgs& args, int32_t bands, const float* row_scales);
  const ConvColumn* conv_columns(const CausalConv1dArgs& conv, const SsdScanArgs& scan, const Numbers& input);
  const ScanHead* heads(const SsdScanArgs& scan, const Numbers& dt);
  // `norm`: the weight of the norm behind the scan, or no data.
  const ScanChannel* channels(const SsdScanArgs& scan, const Numbers& z, const TensorView& norm);
  // What a transform of `parts` parts does to parts as wholes, tiles of 16 by 16; the identity for Rotation::kNone.
  const uint4* mix(Rotation rotation, int32_t parts, int32_t channels);
  // A scale of the whole tensor.
  StaticScale static_scale(const Numbers& x) const;
  // Norms whose scale went into a linear when the model was quantized have ones: null then.
  const float* unless_ones(const TensorView& weight) const;

  template <class T>
  const T* store(const std::vector<T>& table) {
    return static_cast<const T*>(store(table.data(), table.size() * sizeof(T)));
  }
  // Of zeros.
  uint32_t* words(size_t count) { return const_cast<uint32_t*>(store(std::vector<uint32_t>(count))); }

  std::vector<Storage> take() { return std::move(storages_); }

 private:
  const void* store(const void* data, size_t bytes);
  std::vector<float> floats(const void* from, size_t count) const;           // none where there is nothing
  std::vector<float> scales_of(const Numbers& x, size_t columns) const;      // one a column, or none
  std::vector<float> taps(const Numbers& weight, size_t channels) const;

  Device& device_;
  std::vector<Storage> storages_;
};

}  // namespace quamba2::cuda
