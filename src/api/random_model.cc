// SPDX-License-Identifier: Apache-2.0
#include "quamba2/random_model.h"

#include <algorithm>
#include <numeric>

#include "arch/random_weights.h"
#include "base/file.h"
#include "base/log.h"
#include "io/safetensors_stream.h"
#include "tensor/convert.h"
#include "text/byte_level.h"

namespace quamba2 {
namespace {

constexpr int64_t kPiece = 1 << 20;  // elements

// A token a byte: text of any kind can be read, 4 to 5 times as many tokens as with the model's own tokenizer.
Json byte_tokenizer() {
  Json special;
  special.set("id", 0);
  special.set("content", "<|endoftext|>");
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"}) special.set(flag, false);
  special.set("special", true);
  Json::Object vocabulary = {{"<|endoftext|>", 0}};
  for (int byte = 0; byte < 256; ++byte)
    vocabulary.emplace_back(map_bytes(std::string(1, static_cast<char>(byte))), byte + 1);
  Json model;
  model.set("type", "BPE");
  model.set("vocab", vocabulary);
  model.set("merges", Json::Array{});
  Json out;
  out.set("version", "1.0");
  out.set("added_tokens", Json::Array{special});
  for (const char* stage : {"pre_tokenizer", "decoder"}) {
    Json byte_level;
    byte_level.set("type", "ByteLevel");
    byte_level.set("add_prefix_space", false);
    byte_level.set("use_regex", true);
    out.set(stage, byte_level);
  }
  out.set("model", model);
  return out;
}

void write_tensor(const RandomTensor& tensor, uint64_t seed, uint64_t index, SafetensorsStream* file,
                  ProgressScope* progress) {
  std::vector<float> values;
  std::vector<uint16_t> halves;
  const int64_t n = tensor.elements();
  for (int64_t at = 0; at < n; at += kPiece) {
    values.resize(static_cast<size_t>(std::min(kPiece, n - at)));
    draw_elements(tensor, seed, index, at, values);
    if (tensor.dtype == DType::kF32) {
      file->write(values.data(), values.size() * sizeof(float));
    } else {
      halves.resize(values.size());
      std::transform(values.begin(), values.end(), halves.begin(), f32_to_bf16);
      file->write(halves.data(), halves.size() * sizeof(uint16_t));
    }
    progress->advance(static_cast<int64_t>(values.size()));
  }
}

}  // namespace

std::vector<std::string> random_model_shapes() { return random_model_names(); }

RandomModelReport write_random_model(const std::string& directory, const RandomModelOptions& options) {
  const RandomModel model = random_model(options.shape, options.layers);
  RandomModelReport report;
  report.layers = model.config.get("n_layer", 0);
  for (const RandomTensor& t : model.tensors) report.parameters += t.elements();
  // F32 first: so every tensor is aligned.
  std::vector<size_t> order(model.tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_partition(order.begin(), order.end(), [&](size_t i) { return model.tensors[i].dtype == DType::kF32; });
  std::vector<SafetensorsEntry> entries;
  for (size_t i : order) entries.push_back({model.tensors[i].name, model.tensors[i].dtype, model.tensors[i].shape});

  AtomicDirectory target(directory, options.replace);
  write_file(join_path(target.path(), "config.json"), model.config.dump() + "\n");
  write_file(join_path(target.path(), "tokenizer.json"), byte_tokenizer().dump() + "\n");
  SafetensorsStream file(join_path(target.path(), "model.safetensors"), std::move(entries));
  ProgressScope progress("writing", report.parameters);
  for (size_t i : order) write_tensor(model.tensors[i], options.seed, i, &file, &progress);
  file.commit();
  report.bytes = file.bytes();
  target.commit();
  return report;
}

}  // namespace quamba2
