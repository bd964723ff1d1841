// SPDX-License-Identifier: Apache-2.0
#include "quant/run_pass.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/log.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

// A pass that keeps the function may move outputs by float rounding only: many times less than any quantization does.
constexpr double kProbeBound = 1e-4;  // of the largest magnitude

double largest_move(const std::vector<float>& before, const std::vector<float>& after, double* scale) {
  double move = 0;
  *scale = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    move = std::max<double>(move, std::fabs(after[i] - before[i]));
    *scale = std::max<double>(*scale, std::fabs(before[i]));
  }
  return move;
}

std::vector<OutlierChange> changes(const Peaks& before, const Peaks& after) {
  std::vector<OutlierChange> out;
  for (const auto& [reader, peak] : after) {
    const auto at = before.find(reader);
    if (at != before.end()) out.push_back({reader, at->second, peak});
  }
  return out;
}

}  // namespace

std::string small_number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", v);
  return text;
}

PassReport run_pass(const Pass& pass, QuantPart* part, Calibration* calibration, Peaks* peaks) {
  PassContext context{*calibration, {}};
  std::vector<float> before;
  if (pass.keeps_function) before = calibration->probe(part->graph, part->transforms.residual, part->head);
  const auto start = std::chrono::steady_clock::now();
  pass.run(*part, context);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  verify(part->graph);
  PassReport report{part->name(), pass.name, seconds, "", -1, {}};
  if (pass.keeps_function) {
    double scale = 0;
    const std::vector<float> after = calibration->probe(part->graph, part->transforms.residual, part->head);
    const double move = largest_move(before, after, &scale);
    if (!(move <= kProbeBound * scale)) {
      throw Error(ErrorCode::kInternal, "pass " + pass.name + " changed the model", part->name(),
                  "outputs moved by " + small_number(move) + " of " + small_number(scale),
                  "please report this as a bug");
    }
    context.detail += (context.detail.empty() ? "" : ", ") + ("moved " + small_number(scale > 0 ? move / scale : 0));
    Peaks now = part->head ? Peaks() : calibration->peaks(part->graph, part->transforms.residual);
    report.outliers = changes(*peaks, now);
    *peaks = std::move(now);
  }
  report.detail = context.detail;
  return report;
}

void log_line(const PassReport& report) {
  char line[240];
  std::snprintf(line, sizeof line, "%-9s %-18s %6.2f s  %s", report.part.c_str(), report.pass.c_str(), report.seconds,
                report.detail.c_str());
  log(LogLevel::kInfo, line);
}

}  // namespace quamba2
