// SPDX-License-Identifier: Apache-2.0
// Whole models run on a few tokens, and their logits compared: what tests of recipes, formats and passes share.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/executor.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/table.h"
#include "backends/reference/reference.h"
#include "base/random.h"
#include "graph/model.h"
#include "tensor/distribution.h"

namespace quamba2::testing {

inline std::vector<int32_t> random_ids(int64_t n, int64_t vocabulary, uint64_t seed) {
  Random random(seed);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(random.below(vocabulary)));
  return ids;
}

// Reads ids [begin, begin + length) into slot 0, and appends the logits behind each of them to `out`.
inline void append_logits(Executor* executor, const std::vector<int32_t>& ids, size_t begin, int32_t length,
                          std::vector<float>* out) {
  const Segment segment{0, length, 0};
  executor->run({ids.data() + begin, static_cast<size_t>(length)}, {&segment, 1});
  std::vector<int32_t> rows;
  for (int32_t i = 0; i < length; ++i) rows.push_back(i);
  const float* logits = executor->logits(rows);
  out->insert(out->end(), logits, logits + static_cast<int64_t>(length) * executor->table_rows());
}

// Logits of a prompt and of single steps after it, 48 tokens in all.
inline std::vector<float> run_model(const ModelData& model, std::shared_ptr<const Backend> backend,
                                    int32_t state_every = 0, int32_t prompt = 40) {
  Executor executor(model.graph, std::move(backend),
                    {.max_tokens = 64, .max_selected = 64, .state_every = state_every});
  const std::vector<int32_t> ids = random_ids(48, model.vocab_size, 99);
  std::vector<float> out;
  if (prompt > 0) append_logits(&executor, ids, 0, prompt, &out);
  for (int32_t t = prompt; t < 48; ++t) append_logits(&executor, ids, static_cast<size_t>(t), 1, &out);
  return out;
}

// Mean of KL(a || b) over positions of `rows` logits each.
inline double mean_kl(const std::vector<float>& a, const std::vector<float>& b, int64_t rows) {
  double sum = 0;
  const int64_t n = static_cast<int64_t>(a.size()) / rows;
  for (int64_t i = 0; i < n; ++i) {
    const float* ra = a.data() + i * rows;
    const float* rb = b.data() + i * rows;
    sum += kl_divergence(ra, log_sum_exp(ra, rows), rb, log_sum_exp(rb, rows), rows);
  }
  return sum / static_cast<double>(n);
}

// Every CPU level against the reference on the same bits: what differs must be far below what the quantization itself costs.
inline void expect_levels_agree(const ModelData& float_model, const ModelData& quant_model) {
  const int64_t rows = quant_model.graph.edges[static_cast<size_t>(quant_model.graph.logits)].columns;
  const std::vector<float> reference = run_model(quant_model, make_reference_backend());
  const double cost = mean_kl(run_model(float_model, make_reference_backend()), reference, rows);
  for (const KernelTable* table : cpu_tables()) {
    const double kl = mean_kl(reference, run_model(quant_model, make_cpu_backend(2, *table)), rows);
    EXPECT_LE(kl, 1e-6 + 0.2 * cost) << table->name << ", the quantization itself costs " << cost;
  }
}

}  // namespace quamba2::testing
