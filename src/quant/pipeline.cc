// SPDX-License-Identifier: Apache-2.0
#include "quant/pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/log.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

// A pass that keeps the function may move logits by float rounding only: many times less than any quantization does.
constexpr double kProbeBound = 1e-4;  // of the largest |logit|

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", v);
  return text;
}

double largest_move(const std::vector<float>& before, const std::vector<float>& after, double* scale) {
  double move = 0;
  *scale = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    move = std::max<double>(move, std::fabs(after[i] - before[i]));
    *scale = std::max<double>(*scale, std::fabs(before[i]));
  }
  return move;
}

void check_needs(const Recipe& recipe, const Pass& pass, Facts have) {
  for (Fact fact : {Fact::kNormsFolded, Fact::kFormats, Fact::kRanges, Fact::kEncoded}) {
    const auto bit = static_cast<Facts>(fact);
    if (!(pass.needs & bit) || (have & bit)) continue;
    std::string giver = "no pass of this recipe gives it";
    for (const Pass& other : recipe.passes) {
      if (other.gives & bit) giver = "pass " + other.name + " gives it and has to run before";
    }
    throw Error(ErrorCode::kUsage, "pass " + pass.name + " cannot run", recipe.name,
                "it needs " + fact_text(fact) + ", which is missing or stale", giver);
  }
}

const Pass* find_pass(const Recipe& recipe, const std::string& name) {
  for (const Pass& pass : recipe.passes) {
    if (pass.name == name) return &pass;
  }
  std::string known;
  for (const Pass& pass : recipe.passes) known += (known.empty() ? "" : ", ") + pass.name;
  throw Error(ErrorCode::kUsage, "unknown pass " + name, recipe.name, "the recipe has no pass of this name",
              "its passes are " + known);
}

void check_names(const Recipe& recipe, const PipelineOptions& options) {
  if (!options.stop_after.empty()) find_pass(recipe, options.stop_after);
  for (const std::string& name : options.skip) {
    if (find_pass(recipe, name)->keeps_function) continue;
    throw Error(ErrorCode::kUsage, "pass " + name + " cannot be skipped", recipe.name, "later passes are built on it",
                "only passes that keep the function can be left out");
  }
}

PassReport run_pass(const Pass& pass, QuantModel* model, Calibration* calibration) {
  PassContext context{*calibration, {}};
  const std::vector<float> before = pass.keeps_function ? calibration->probe(model->model.graph) : std::vector<float>();
  const auto start = std::chrono::steady_clock::now();
  pass.run(*model, context);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  verify(model->model.graph);
  if (pass.keeps_function) {
    double scale = 0;
    const double move = largest_move(before, calibration->probe(model->model.graph), &scale);
    if (!(move <= kProbeBound * scale)) {
      throw Error(ErrorCode::kInternal, "pass " + pass.name + " changed the model", "",
                  "logits moved by " + number(move) + " of " + number(scale), "please report this as a bug");
    }
    context.detail += (context.detail.empty() ? "" : ", ") + ("max|dlogit| " + number(move));
  }
  return {pass.name, seconds, context.detail};
}

}  // namespace

std::string fact_text(Fact fact) {
  switch (fact) {
    case Fact::kNormsFolded: return "folded norms";
    case Fact::kFormats: return "target formats";
    case Fact::kRanges: return "calibrated ranges";
    case Fact::kEncoded: return "encoded weights";
  }
  return "?";
}

std::vector<PassReport> run_recipe(const Recipe& recipe, ModelData* model, Calibration* calibration,
                                   const PipelineOptions& options) {
  check_names(recipe, options);
  QuantModel state{*model, {}, {}, {}, {}, 0};
  std::vector<PassReport> reports;
  for (const Pass& pass : recipe.passes) {
    if (std::find(options.skip.begin(), options.skip.end(), pass.name) != options.skip.end()) continue;
    check_needs(recipe, pass, state.facts);
    reports.push_back(run_pass(pass, &state, calibration));
    state.facts = (state.facts & ~pass.stales) | pass.gives;
    char line[160];
    std::snprintf(line, sizeof line, "%-18s %6.1f s  %s", pass.name.c_str(), reports.back().seconds,
                  reports.back().detail.c_str());
    log(LogLevel::kInfo, line);
    if (pass.name == options.stop_after) return reports;
  }
  model->recipe = recipe.name;
  return reports;
}

}  // namespace quamba2
