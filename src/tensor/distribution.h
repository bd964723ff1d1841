// SPDX-License-Identifier: Apache-2.0
// Probabilities from rows of logits.
#pragma once

#include <cstdint>

namespace quamba2 {

// log(sum over i < n of exp(x[i])), in f32 with the sum in f64; absolute error below 1e-6 for any n. NaN where an x is.
double log_sum_exp(const float* x, int64_t n);

// KL(a || b) in nats, from logits and their log_sum_exp.
double kl_divergence(const float* a, double lse_a, const float* b, double lse_b, int64_t n);

// The lowest index of the largest element; NaNs count as nothing.
int64_t argmax(const float* x, int64_t n);

bool has_nan(const float* x, int64_t n);

}  // namespace quamba2
