// SPDX-License-Identifier: Apache-2.0
// What all documents together say about each model.
#pragma once

#include <string>
#include <vector>

#include "report/documents.h"
#include "report/names.h"

namespace quamba2::report {

struct ModelRow {
  std::string name, recipe;
  std::string text;   // what its quality was measured on: "eval.txt, windows of 2,048"; empty: it was not
  std::string group;  // rows of one group have the same text and reference, so that their divergences compare
  bool reference = false;
  double weight_bytes = kUnknown, of_bf16 = kUnknown, perplexity = kUnknown, standard_error = kUnknown;
  double change_percent = kUnknown, mean_kl = kUnknown, kl_standard_error = kUnknown, same_top_token = kUnknown;
  double prefill = kUnknown, decode = kUnknown;  // tokens a second
};

struct ModelTable {
  std::vector<ModelRow> rows;
  // Speeds compare only where they were measured alike: the setting that most models have, "pp512, 2 threads". Empty: no
  // such test.
  std::string prefill_setting, decode_setting;

  Names series;  // colour and mark of a model, the same in every chart; references are drawn nowhere and have none
};

// Models are told apart by the last component of their path, which is what `bench` knows of them.
ModelTable join_models(const Documents& documents);

// "mamba2-67m-w4a16" -> "w4a16" where the reference is "mamba2-67m".
std::string short_name(const std::string& name, const std::string& reference);

}  // namespace quamba2::report
