// SPDX-License-Identifier: Apache-2.0
// A model on the way through the quantizing half: read, looked at, quantized, saved.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace quamba2 {

struct ModelData;  // the library's own view

// What one kind of tensor takes: "embedding", "in_proj", "conv1d", "activation scales".
struct PartSize {
  std::string part;
  std::string format;  // "bf16", "i4 group 128"
  std::string shape;   // of one tensor: "[2320, 512]"
  int64_t tensors = 0;
  int64_t parameters = 0;
  uint64_t bytes = 0;  // scales included
};

class Model {
 public:
  // Reads a Hugging Face or state-spaces directory, a weights file inside one, or `org/name` of the local Hugging Face
  // cache; quantized models of this program too. Throws Error{kModelFile}.
  static Model from_pretrained(const std::string& path_or_name);

  // From the library's own view.
  static Model from_data(std::unique_ptr<ModelData> data);

  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const std::string& name() const;    // of the directory
  const std::string& family() const;  // "mamba", "mamba2", "falcon_mamba"
  const std::string& recipe() const;  // "w8a8"; empty where unquantized
  int64_t layers() const;
  int64_t d_model() const;
  int64_t vocab_size() const;  // without padding rows
  bool tied() const;
  int64_t parameters() const;
  uint64_t weight_bytes() const;  // as stored, a tied table counted once
  uint64_t bf16_bytes() const;    // of the same parameters in 16 bits
  std::vector<PartSize> parts() const;
  // State of one sequence in this recipe, in bytes.
  uint64_t state_bytes() const;

  // The directory's config.json as it was read, in JSON; "{}" for a model that was made in memory.
  std::string config() const;

  // Writes a Hugging Face style directory that appears whole or not at all. An existing target is refused unless
  // `replace`. Throws Error{kUsage}, Error{kRuntime}.
  void save(const std::string& directory, bool replace = false) const;

  const ModelData& data() const { return *data_; }
  ModelData& data() { return *data_; }

 private:
  explicit Model(std::unique_ptr<ModelData> data);
  std::unique_ptr<ModelData> data_;
};

}  // namespace quamba2
