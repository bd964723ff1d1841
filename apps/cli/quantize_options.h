// SPDX-License-Identifier: Apache-2.0
// Options that all verbs have that quantize.
#pragma once

#include <string>

#include "cli.h"

namespace quamba2::cli {

// --calib, its size, --table-bits, --group and --seed.
void add_calibration_options(CLI::App* verb, QuantizeOptions* options, std::string* calibration);

// The file with calibration text: `given`, else the model's own. Throws Error{kUsage} where there is none.
std::string calibration_file(const std::string& model, const std::string& given, const std::string& recipe);

// Throws Error{kUsage} with the nearest known one.
RecipeInfo find_recipe(const std::string& name);

}  // namespace quamba2::cli
