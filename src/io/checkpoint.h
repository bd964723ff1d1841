// SPDX-License-Identifier: Apache-2.0
// A model directory as Hugging Face lays it out: config.json beside weights in one of several forms.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "tensor/tensor.h"

namespace quamba2 {

struct Checkpoint {
  std::string directory;                  // what the name or path led to
  Json config;                            // config.json
  std::map<std::string, Tensor> tensors;  // mapped: they keep their files open
  std::vector<std::string> files;         // paths of the weight files read, in order
};

// `path_or_name` is a directory, a weights file inside one, or `org/name` of the local Hugging Face cache. Nothing is
// ever downloaded. Throws Error{kModelFile} that lists what was looked for.
Checkpoint load_checkpoint(const std::string& path_or_name);

// The same without the weights: where the model lies, and its config.json.
std::string find_checkpoint(const std::string& path_or_name);
Json read_config(const std::string& directory);

// All tensors of one weights file or index: *.safetensors, *.bin (and .pt, .pth), *.index.json. Appends the paths of
// the files read to `files`.
std::map<std::string, Tensor> read_weights(const std::string& path, std::vector<std::string>* files = nullptr);

// Copies what belongs to a model and is no weight and no config.json, unchanged: tokenizer files,
// generation_config.json, chat template, README.md, LICENSE. Returns the names copied.
std::vector<std::string> copy_side_files(const std::string& from_dir, const std::string& to_dir);

}  // namespace quamba2
