// SPDX-License-Identifier: Apache-2.0
// Which recipe for which layer, and what each ingredient of a recipe is worth: experiments over quantizations.
#pragma once

#include <string>
#include <vector>

#include "quamba2/evaluate.h"
#include "quamba2/quantize.h"

namespace quamba2 {

enum class Budget {
  kSize,     // bytes of the weights, at most
  kPrefill,  // tokens a second of a prompt, at least
  kDecode,   // tokens a second of one sequence, at least
};

struct SearchOptions {
  QuantizeOptions quantize;  // recipe and layers are set by the search; work_directory keeps what it has found
  std::vector<std::string> choices = {"w4a8", "w4a16", "w8a8"};
  Budget budget = Budget::kSize;
  double limit = 0;       // in the budget's unit
  std::string text = {};  // to measure KL divergence on
  PerplexityOptions windows = {.window = 512, .max_windows = 4};
  int population = 16;
  int generations = 12;
};

struct SearchPoint {
  std::string name;  // "14 w4a8, 10 w4a16"
  std::vector<std::string> layers;
  double mean_kl = 0;  // nats, against the unquantized model
  double weight_bytes = 0;
  double prefill = 0, decode = 0;  // tokens a second, interpolated between uniform models on this machine
};

struct SearchReport {
  std::string model;
  SearchOptions options;  // without the texts
  SearchPoint best;
  std::vector<SearchPoint> uniform;  // all layers alike, in the order of `choices`
  std::vector<SearchPoint> front;    // what no other list beats in both KL divergence and the budget's cost
  int64_t evaluated = 0;             // lists measured
};

// Quantizes the model once with every choice in all layers, measures the speed of each, then looks for a list of choices
// by evolution. Deterministic for a seed under a size budget; the speeds that other budgets are held against are
// measured. With a work directory, `quantize.resume` goes on where an ended job was. Throws Error{kUsage} where the
// budget cannot be met.
SearchReport search(const Model& model, const SearchOptions& options);
std::string to_json(const SearchReport& report);

struct AblationOptions {
  QuantizeOptions quantize;  // preset, with and without are set by the steps; work_directory keeps finished models
  std::string text = {};
  PerplexityOptions windows = {};
};

struct AblationRow {
  std::string name;               // "+ GPTQ"
  std::vector<std::string> with;  // the ingredients so far
  Comparison comparison;
  uint64_t weight_bytes = 0;
  double of_bf16 = 0;
  double layer_error = 0;  // relative output error, average over layers
  double seconds = 0;      // to quantize
};

struct AblationReport {
  std::string model, recipe;
  Perplexity reference;
  std::vector<AblationRow> rows;
};

// Quantizes with plain rounding, then with one group of ingredients after the other, up to the default preset, and
// compares all of them on the text. Steps that a recipe has no use for are left out.
AblationReport ablate(const Model& model, const AblationOptions& options);
std::string to_json(const AblationReport& report);

}  // namespace quamba2
