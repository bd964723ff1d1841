// SPDX-License-Identifier: Apache-2.0
// What the verbs of the program write as JSON, checked and as plain structs. Numbers that a document does not have are
// kUnknown, texts are empty.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/text.h"

namespace quamba2::report {

// Of an activation: the largest magnitude over the root mean square, before a pass and after it.
struct Outlier {
  std::string edge;
  double before = kUnknown, after = kUnknown;
};

struct Pass {
  std::string part, pass, detail;  // "layer 3", "gptq", "moved 3e-6"
  int layer = -1;                  // of `part`; -1: not a layer
  double seconds = kUnknown;
  double relative_error = kUnknown;  // of what a finished layer adds to the stream
  std::vector<Outlier> outliers;
};

struct Quantization {
  std::string model, recipe, preset;
  std::string output;  // the directory; of a file quantization.json that names none, the one it lies in
  double bytes_before = kUnknown, bytes_after = kUnknown;
  std::vector<Pass> passes;
};

// A model in a comparison; what follows `seconds` is about how it differs from the reference.
struct ComparedModel {
  std::string model, recipe;
  double weight_bytes = kUnknown, of_bf16 = kUnknown, perplexity = kUnknown, standard_error = kUnknown;
  double bits_per_byte = kUnknown, nll = kUnknown, tokens = kUnknown, windows = kUnknown, predicted = kUnknown;
  double seconds = kUnknown;
  double ppl_increase_percent = kUnknown, mean_kl = kUnknown, kl_standard_error = kUnknown, kl_p99 = kUnknown;
  double kl_max = kUnknown, same_top_token = kUnknown;
};

struct Comparison {
  std::string text;
  double window = kUnknown;
  ComparedModel a;
  std::vector<ComparedModel> others;
};

struct BenchRow {
  std::string model, recipe, test, machine, engine, ceiling_text;
  double weight_bytes = kUnknown, threads = kUnknown, batch = kUnknown;
  double tokens_per_second = kUnknown, deviation = kUnknown, ceiling = kUnknown;
};

struct Point {
  std::string name;
  std::vector<std::string> layers;  // what each layer is quantized with
  double mean_kl = kUnknown, weight_bytes = kUnknown;
  double prefill_tokens_per_second = kUnknown, decode_tokens_per_second = kUnknown;
};

struct Search {
  std::string model, text, budget;  // budget: "size", "prefill" or "decode"
  std::vector<std::string> choices;
  double limit = kUnknown, evaluated = kUnknown;
  Point best;
  std::vector<Point> uniform, front;
};

struct AblationRow {
  std::string name;
  double weight_bytes = kUnknown, of_bf16 = kUnknown, perplexity = kUnknown, ppl_increase_percent = kUnknown;
  double mean_kl = kUnknown, same_top_token = kUnknown, layer_error = kUnknown, seconds = kUnknown;
};

struct Ablation {
  std::string model, recipe, text;
  double reference_perplexity = kUnknown;
  std::vector<AblationRow> rows;
};

struct Source {
  std::string name, kind;
};

struct Documents {
  std::vector<Quantization> quantizations;
  std::vector<Comparison> comparisons;
  std::vector<BenchRow> bench;
  std::vector<Search> searches;
  std::vector<Ablation> ablations;
  std::vector<Source> sources;  // one a document, in the order given
};

// Adds what `json` holds. Throws Error{kModelFile} that names `name` and the member at fault.
void add_document(const std::string& name, std::string_view json, Documents* documents);

// The last component of a path: what a model is called on the page.
std::string model_name(const std::string& path);
// What came out of a quantization.
std::string result_name(const Quantization& quantization);

}  // namespace quamba2::report
