// SPDX-License-Identifier: Apache-2.0
#include "support/kernel_harness.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace quamba2::testing {
namespace {

constexpr size_t kGuard = 256;

bool plant_failure() {
  const char* value = std::getenv("QUAMBA2_PLANT_FAILURE");
  return value && std::string(value) == "1";
}

size_t row_bytes(const Operand& o) { return static_cast<size_t>(row_length(o.values) * bits_of(o.values.dtype) / 8); }

void poison(const Operand& o) {  // NaN, or code 127
  for (int64_t r = 0; r < row_count(o.values); ++r) {
    std::memset(row_address(o.values, r), is_float(o.values.dtype) ? 0xff : 0x7f, row_bytes(o));
  }
}

// Makes one element wrong, as a broken kernel would.
void corrupt(const Operand& o) {
  if (row_count(o.values) == 0 || row_length(o.values) == 0) return;
  auto* last = static_cast<unsigned char*>(row_address(o.values, row_count(o.values) - 1)) + row_bytes(o) - 1;
  *last = static_cast<unsigned char>(*last ^ 0x41);
}

double nearest_code(DType dtype, double value) {
  return std::fmin(std::fmax(std::nearbyint(value), min_code(dtype)), max_code(dtype));
}

// `value` as the operand's format would hold it.
double rounded(const Operand& o, int64_t row, int64_t column, double value) {
  Operand cell = o;
  if (o.format.levels > 0) {
    const double scale = scale_of(o, row, column);
    if (scale == 0 || std::isnan(value)) return 0;
    return nearest_code(o.values.dtype, value / scale) * scale;
  }
  unsigned char bytes[8];
  store_element(bytes, cell.values.dtype, 0, value);
  return load_element(bytes, cell.values.dtype, 0);
}

// Values between `low` and `high`.
struct Range {
  double low = 0, high = 0;
};

// What an element may be, given its exact value and bound: right results rounded to the format. Rounding is monotone.
// Elements are asked for in order, each with what the kernel gave: codes of dynamic states depend on those before them.
class Allowed {
 public:
  explicit Allowed(const Expected& e) : e_(e), columns_(row_length(e.operand.values)) {
    if (is_dynamic_state(e.operand.format)) carry_.resize(static_cast<size_t>(columns_));
  }

  Range next(double got) {
    const auto i = static_cast<int64_t>(at_++);
    const int64_t row = i / columns_, column = i % columns_;
    const double exact = e_.exact[static_cast<size_t>(i)], bound = e_.bound[static_cast<size_t>(i)];
    if (carry_.empty()) {
      return {rounded(e_.operand, row, column, exact - bound), rounded(e_.operand, row, column, exact + bound)};
    }
    Range& carry = carry_[static_cast<size_t>(column)];
    const double scale = scale_of(e_.operand, row, column);
    const int64_t n = row % e_.operand.values.dim[e_.operand.values.rank - 2];
    if (n == 0) carry = {};
    if (n != 0 && n % kStateBlock == 0) next_block(scale_of(e_.operand, row - 1, column), scale, &carry);
    return carried(scale, exact, bound, got, &carry);
  }

 private:
  // A carry counts steps of the scale.
  static void next_block(double before, double scale, Range* carry) {
    const auto steps = [&](double v) {
      return scale == 0 ? 0 : std::fmin(std::fmax(v * before / scale, -0.5), 0.5) * (1 + 8 * kUnit);
    };
    *carry = {steps(carry->low), steps(carry->high)};
  }

  // A code and its carry: four roundings of numbers below 128.
  static Range carried(double scale, double exact, double bound, double got, Range* carry) {
    if (scale == 0) return {};
    const double slack = 128 * 4 * kUnit;
    const Range goal = {(exact - bound) / scale + carry->low - slack, (exact + bound) / scale + carry->high + slack};
    *carry = {std::fmax(goal.low - got / scale, -0.5 - slack), std::fmin(goal.high - got / scale, 0.5 + slack)};
    return {nearest_code(DType::kI8, goal.low) * scale, nearest_code(DType::kI8, goal.high) * scale};
  }

  const Expected& e_;
  int64_t columns_;
  size_t at_ = 0;
  std::vector<Range> carry_;  // a column: between what may be left of the element above
};

}  // namespace

std::string compare(const Expected& e, const std::vector<double>& got, RowCount* count) {
  const int64_t columns = row_length(e.operand.values);
  Allowed allowed(e);
  double worst = 0;
  size_t where = 0, wrong = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const Range right = allowed.next(got[i]);
    if (e.operand.values.dtype == DType::kF32 && std::isfinite(got[i]) && e.bound[i] > 0) {
      const double share = std::fabs(got[i] - e.exact[i]) / (e.bound[i] + kUnit * std::fabs(e.exact[i]));
      count->closest = std::fmax(count->closest, share);
    }
    if ((got[i] >= right.low && got[i] <= right.high) || (std::isnan(got[i]) && std::isnan(e.exact[i]))) continue;
    ++wrong;
    const double ratio = std::isfinite(got[i]) ? std::fabs(got[i] - e.exact[i]) / (e.bound[i] + 1e-300) : INFINITY;
    if (ratio < worst) continue;
    worst = ratio;
    where = i;
  }
  if (wrong == 0) return "";
  char text[320];
  const auto at = static_cast<int64_t>(where);
  std::snprintf(
      text, sizeof(text),
      "%zu of %zu elements beyond their bound; worst at row %lld column %lld: got %.9g, exact %.9g, bound %.3g "
      "(%.3g of it), format %s",
      wrong, got.size(), static_cast<long long>(at / columns), static_cast<long long>(at % columns), got[where],
      e.exact[where], e.bound[where], worst, format_text(e.operand.format).c_str());
  return text;
}

std::string compare_scales(const Expected& e) {
  const Operand scales = scales_operand(e.operand);
  const int64_t columns = row_length(e.operand.values);
  const int64_t width = row_length(scales.values);
  std::vector<double> low(static_cast<size_t>(row_count(scales.values) * width), 0.0), high = low;
  // Slots that are not written have no error, and their largest code need not be 127: `compare` wants the same numbers.
  std::vector<bool> written(low.size(), false);
  for (size_t i = 0; i < e.exact.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const auto s = static_cast<size_t>(scale_index(e.operand, at / columns, at % columns));
    low[s] = std::fmax(low[s], std::fabs(e.exact[i]) - e.bound[i]);
    high[s] = std::fmax(high[s], std::fabs(e.exact[i]) + e.bound[i]);
    if (e.bound[i] > 0) written[s] = true;
  }
  for (size_t s = 0; s < low.size(); ++s) {
    if (!written[s]) continue;
    const double got = decode_element(scales, static_cast<int64_t>(s) / width, static_cast<int64_t>(s) % width);
    // One rounding of the quotient; the smallest are denormal.
    if (got >= low[s] / 127 * (1 - 2 * kUnit) - 0x1p-149 && got <= high[s] / 127 * (1 + 2 * kUnit) + 0x1p-149) continue;
    char text[160];
    std::snprintf(text, sizeof(text), "scale %zu is %.9g, expected %.9g to %.9g", s, got, low[s] / 127, high[s] / 127);
    return text;
  }
  return "";
}

std::string run_trial(const Trial& trial, Workspace& space, const std::vector<Expected>& expected,
                      std::vector<unsigned char>* bits, RowCount* count) {
  space.restore();
  for (const Expected& e : expected) {
    if (e.poison) poison(e.operand);
    if (e.poison && e.operand.format.dynamic) poison(scales_operand(e.operand));
  }
  AlignedBuffer scratch(trial.scratch_bytes + kGuard);
  std::memset(scratch.data(), 0xff, trial.scratch_bytes + kGuard);
  trial.run({scratch.data(), scratch.size()});

  std::string failure;
  for (size_t i = 0; i < expected.size(); ++i) {
    const Expected& e = expected[i];
    if (i == 0 && plant_failure()) corrupt(e.operand);
    for (int64_t r = 0; r < row_count(e.operand.values); ++r) {
      const auto* row = static_cast<const unsigned char*>(row_address(e.operand.values, r));
      bits->insert(bits->end(), row, row + row_bytes(e.operand));
    }
    std::string wrong = compare(e, decode(e.operand), count);
    if (e.operand.format.dynamic) {
      const Operand scales = scales_operand(e.operand);
      for (int64_t r = 0; r < row_count(scales.values); ++r) {
        const auto* row = static_cast<const unsigned char*>(row_address(scales.values, r));
        bits->insert(bits->end(), row, row + row_bytes(scales));
      }
      if (wrong.empty()) wrong = compare_scales(e);
      space.restore_elements(scales);
    }
    if (!wrong.empty()) failure += trial.what + ", output " + std::to_string(i) + ": " + wrong + "\n";
    space.restore_elements(e.operand);
  }
  const auto* guard = static_cast<const unsigned char*>(scratch.data()) + trial.scratch_bytes;
  for (size_t i = 0; i < kGuard; ++i) {
    if (guard[i] != 0xff) {
      failure += trial.what + ": wrote beyond its scratch\n";
      break;
    }
  }
  if (!space.unchanged()) failure += trial.what + ": wrote outside of its outputs\n";
  return failure;
}

void report_rows(const std::string& op, const std::map<std::string, RowCount>& rows) {
  if (rows.empty()) ADD_FAILURE() << op << ": no rows in any table";
  for (const auto& [name, count] : rows) {
    if (count.runs == 0) ADD_FAILURE() << name << ": never exercised";
    std::printf("  %s: %d problems, errors up to %.3g of their bound", name.c_str(), count.runs, count.closest);
    for (const auto& [reason, times] : count.refusals) std::printf("; refused %d: %s", times, reason.c_str());
    std::printf("\n");
  }
}

}  // namespace quamba2::testing
