// SPDX-License-Identifier: Apache-2.0
// Logits against an independent double-precision implementation (README.md of this folder states the rule).
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "api/load_model.h"
#include "backend/executor.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/table.h"
#include "backends/reference/reference.h"
#include "io/safetensors.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

constexpr double kDoubleBound = 1e-9;  // of the largest |logit|
constexpr double kFloatBound = 2e-5;

struct Expected {
  std::vector<std::vector<int32_t>> ids;
  std::vector<double> logits;  // [sequences, length, rows]
  int64_t length = 0, rows = 0;
  double scale = 0;
};

Expected read_expected(const std::string& name) {
  const auto tensors = read_safetensors(testing::source_path("tests/golden/" + name + "/expected.safetensors"));
  const Tensor& ids = tensors.at("input_ids");
  const Tensor& logits = tensors.at("logits");
  Expected out;
  out.length = ids.dim(1);
  out.rows = logits.dim(2);
  for (int64_t b = 0; b < ids.dim(0); ++b) {
    const auto* row = ids.as<const int64_t>() + b * out.length;
    out.ids.emplace_back(row, row + out.length);
  }
  out.logits.assign(logits.as<const double>(), logits.as<const double>() + logits.elements());
  for (double v : out.logits) out.scale = std::max(out.scale, std::abs(v));
  return out;
}

double logit(const Executor& executor, int64_t row, int64_t column) {
  const Operand& o = executor.logits_operand();
  const int64_t i = row * o.values.stride[0] + column;
  return o.values.dtype == DType::kF64 ? static_cast<const double*>(o.values.data)[i]
                                       : static_cast<const float*>(o.values.data)[i];
}

// Compares the logits of the rows [0, length) of the last run with positions [first, ...) of sequence b.
void expect_rows(Executor* executor, const Expected& expected, size_t b, int64_t first, int32_t row, int32_t length,
                 double bound) {
  for (int32_t i = 0; i < length; ++i) {
    const int32_t at = row + i;
    executor->logits({&at, 1});
    double worst = 0;
    for (int64_t v = 0; v < expected.rows; ++v) {
      const double want =
          expected
              .logits[(static_cast<size_t>(b) * static_cast<size_t>(expected.length) + static_cast<size_t>(first + i)) *
                          static_cast<size_t>(expected.rows) +
                      static_cast<size_t>(v)];
      worst = std::max(worst, std::abs(logit(*executor, 0, v) - want));
    }
    ASSERT_LE(worst, bound * expected.scale) << "sequence " << b << ", position " << first + i;
  }
}

// Feeds a sequence in pieces of the given sizes (repeated until it ends).
void check_pieces(Executor* executor, const Expected& expected, const std::vector<int32_t>& sizes, double bound) {
  for (size_t b = 0; b < expected.ids.size(); ++b) {
    executor->reset_state(0);
    int64_t at = 0;
    for (size_t piece = 0; at < expected.length; ++piece) {
      const auto n = static_cast<int32_t>(std::min<int64_t>(sizes[piece % sizes.size()], expected.length - at));
      const Segment segment{0, n, 0};
      executor->run({expected.ids[b].data() + at, static_cast<size_t>(n)}, {&segment, 1});
      expect_rows(executor, expected, b, at, 0, n, bound);
      if (::testing::Test::HasFatalFailure()) return;
      at += n;
    }
  }
}

// All sequences in one call.
void check_batch(Executor* executor, const Expected& expected, double bound) {
  std::vector<int32_t> ids;
  std::vector<Segment> segments;
  for (size_t b = 0; b < expected.ids.size(); ++b) {
    segments.push_back(
        {static_cast<int32_t>(ids.size()), static_cast<int32_t>(expected.length), static_cast<int32_t>(b)});
    ids.insert(ids.end(), expected.ids[b].begin(), expected.ids[b].end());
    executor->reset_state(static_cast<int32_t>(b));
  }
  executor->run(ids, segments);
  for (size_t b = 0; b < expected.ids.size(); ++b) {
    expect_rows(executor, expected, b, 0, segments[b].begin, segments[b].length, bound);
  }
}

const char* const kModels[] = {"mamba1-pickle",       "mamba1-hf-bf16",     "mamba1-layernorm-fp16", "mamba2-hf",
                               "mamba2-groups2-bf16", "mamba2-groups4-odd", "mamba2-dssm-nonorm",    "falcon-mamba"};

class Golden : public ::testing::TestWithParam<const char*> {
 protected:
  void check(const std::shared_ptr<const Backend>& backend, double bound) {
    const Expected expected = read_expected(GetParam());
    const ModelData model = load_model(testing::source_path(std::string("tests/golden/") + GetParam()));
    Executor executor(model.graph, backend, {.max_tokens = 256, .max_selected = 1, .max_sequences = 2});
    ASSERT_EQ(executor.table_rows(), expected.rows);
    for (const std::vector<int32_t>& sizes : {std::vector<int32_t>{70}, {1}, {1, 2, 17, 3, 40}, {33, 5}}) {
      check_pieces(&executor, expected, sizes, bound);
      if (HasFatalFailure()) return;
    }
    check_batch(&executor, expected, bound);
  }
};

TEST_P(Golden, ReferenceAgreesToDoublePrecision) { check(make_reference_backend(), kDoubleBound); }

TEST_P(Golden, EveryCpuLevelAgreesToSinglePrecision) {
  for (const KernelTable* table : cpu_tables()) {
    for (int threads : {1, 2}) {
      SCOPED_TRACE(std::string(table->name) + ", threads " + std::to_string(threads));
      check(make_cpu_backend(threads, *table), kFloatBound);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Golden, ::testing::ValuesIn(kModels), [](const auto& parameter) {
  std::string name = parameter.param;
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

}  // namespace
}  // namespace quamba2
