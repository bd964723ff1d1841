// SPDX-License-Identifier: Apache-2.0
// Post-training quantization.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quamba2/model.h"

namespace quamba2 {

struct QuantizeOptions {
  std::string recipe = "w4a16";  // one of recipes()
  // "paper": as arXiv 2503.22879 describes it; "plain": rounding to nearest with static scales and no ingredient;
  // "default": all ingredients.
  std::string preset = "default";
  std::vector<std::string> with = {}, without = {};  // ingredients() added to the preset's and taken from them
  // The text itself, plain or JSON lines with a member "text" each; needed by passes that measure.
  std::string calibration_text = {};
  int64_t calibration_samples = 128;     // windows taken from the text, spread by the seed
  int64_t calibration_window = 512;      // tokens a window
  int table_bits = 0;                    // 4, 6 or 8 for embedding and head; 0: the recipe's own choice; 16: leave them
  int group = 0;                         // columns that share a scale in 4-bit weights; 0: the recipe's own choice
  std::vector<std::string> layers = {};  // w4ax: "w4a8", "w4a16" or "w8a8" for every layer
  uint64_t seed = 0;
  int threads = 0;  // 0: all that this process may use
  // Where calibration text is read and weights are rounded: "cpu", or "cuda:0" (cuda:1, ...). What checks that passes keep the
  // function runs on the CPU.
  std::string device = "cpu";
  std::string tokenizer = {};          // directory or file; empty: the model's own
  std::string stop_after = {};         // name of a pass: the model stays as that pass leaves it
  std::vector<std::string> skip = {};  // names of passes that are left out (such as keep the function, and gptq)
  // Where finished layers are kept, so that memory holds one at a time and a job that was ended can go on; empty: all in
  // memory. The directory is the caller's to remove once the model is saved (`remove_work`).
  std::string work_directory = {};
  bool resume = false;  // go on with what an ended job of the same options left in work_directory
};

// How far what a linear or scan reads sticks out: the largest magnitude over the root mean square.
struct OutlierChange {
  std::string reader;  // "in_proj", "scan x"
  double before = 0, after = 0;
};

// One pass over one part of the model.
struct PassReport {
  std::string part;  // "layer 3", "head"
  std::string pass;
  double seconds = 0;
  std::string detail;  // "moved 3e-6", "65,536 tokens"
  double error = -1;  // of the line that ends a layer: relative error of what it adds to the stream; negative elsewhere
  std::vector<OutlierChange> outliers = {};  // of passes that keep the function, where there is calibration text
};

struct QuantizeReport {
  std::string model, recipe, preset;
  std::vector<PassReport> passes;
  uint64_t bytes_before = 0, bytes_after = 0;
  std::string device;              // QuantizeOptions::device
  uint64_t peak_device_bytes = 0;  // what the job had of a GPU's memory at most; 0 on the CPU
  uint64_t peak_host_bytes = 0;    // what this process has had in memory at most, mapped files included; 0: not known
};

// As `Model::save` writes it to quantization.json beside the weights.
std::string to_json(const QuantizeReport& report);

struct RecipeInfo {
  std::string name, summary;
  bool needs_calibration = false;
};
std::vector<RecipeInfo> recipes();

// What a preset is a set of.
struct IngredientInfo {
  std::string name, summary;
};
std::vector<IngredientInfo> ingredients();

// A list for `QuantizeOptions::layers` from JSON: ["w4a8", "w4a16", ...], or what `search` wrote. Throws Error{kUsage} that
// names `where`.
std::vector<std::string> parse_layers(const std::string& json, const std::string& where);

// Quantizes in place. Throws Error{kUsage} for an unknown recipe (with the nearest known one) or device, calibration text that
// is missing or too short, or a model that is quantized already; Error{kResource} for a GPU that cannot be used, has too little
// memory (before any work is done) or is lost; Error{kRuntime} for activations that are not finite, naming layer and tensor.
QuantizeReport quantize(Model& model, const QuantizeOptions& options);

// Removes a work directory and what `quantize` left there. Does nothing where there is none.
void remove_work(const std::string& work_directory);

}  // namespace quamba2
