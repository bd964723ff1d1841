// SPDX-License-Identifier: Apache-2.0
// Rows of a weight in a device's memory while they are rounded (backend/rounding.h), as many at a time as memory is meant for.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "graph/weight.h"
#include "quant/gptq.h"

namespace quamba2 {

// What all rows share: h and l of FactorArgs, and the columns' order.
struct DeviceFactor {
  int64_t size = 0;
  Storage h, l, order;
  double damp = 0;
};

class DeviceRows {
 public:
  // Rows of [columns] weights; `gptq`: with what GPTQ and its refinement need besides. Throws Error{kResource}.
  DeviceRows(const Backend& backend, int64_t rows, int64_t columns, const Format& format, bool gptq);
  // How many rows are taken at a time of a weight, and the bytes that takes.
  static int64_t rows_at_a_time(int64_t rows, int64_t columns, const Format& format);
  static size_t bytes(int64_t rows, int64_t columns, const Format& format, bool gptq);

  // Takes `rows` of weights, and chooses their scales.
  void load(const float* w, int64_t rows);
  void choose_scales(ScaleChoice choice);
  void round_nearest();
  // The sums of losses of all rows: of zeros in place of the weights (then what later steps need of them is kept), and now.
  double zero_loss(const DeviceFactor& factor);
  double loss(const DeviceFactor& factor);
  void gptq_round(const DeviceFactor& factor);
  // Rounds of scales and coordinate descent; gives the loss.
  double refine(const DeviceFactor& factor, int rounds);
  // Codes and scales of the rows go to rows [begin, ...) of the weight.
  void store(Weight* weight, int64_t begin, const Stream& host) const;

 private:
  Storage room(int64_t numbers) const;
  std::vector<double> taken_losses() const;
  void find_gradient(const DeviceFactor& factor);
  void find_losses(const DeviceFactor& factor);
  void fit_scales(const DeviceFactor& factor);
  void descend(const DeviceFactor& factor);
  void keep_rows();

  const Backend& backend_;
  Device& device_;
  const RoundingKernels& kernels_;
  Stream stream_;
  int64_t columns_, group_, groups_;
  Format format_;
  Storage w_, codes_, q_, scales_, row_scales_, bytes_;
  Storage kept_codes_, kept_q_, kept_scales_, kept_row_scales_;  // of the best rows so far
  Storage left_, gradient_, wanted_, block_, a_, b_, losses_, best_;
  WeightRows rows_, kept_;
};

}  // namespace quamba2
