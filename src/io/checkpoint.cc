// SPDX-License-Identifier: Apache-2.0
#include "io/checkpoint.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "io/file_kind.h"
#include "io/hf_cache.h"
#include "io/safetensors.h"
#include "io/torch_pickle.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr uint64_t kMaxJson = 256u << 20;
constexpr const char* kIndexSuffix = ".index.json";
// In the order of preference of the transformers library.
constexpr const char* kWeightNames[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                        "pytorch_model.bin.index.json"};

std::string join_names(const std::vector<std::string>& names, size_t limit = 8) {
  std::string out;
  for (size_t i = 0; i < names.size() && i < limit; ++i) out += (i ? ", " : "") + printable(names[i]);
  if (names.size() > limit) out += " and " + std::to_string(names.size() - limit) + " more";
  return out;
}

std::map<std::string, Tensor> read_one(const std::string& path) {
  return path.ends_with(".safetensors") ? read_safetensors(path) : read_torch_checkpoint(path);
}

// Shard name -> names of the tensors that lie in it.
std::map<std::string, std::set<std::string>> read_index(const std::string& path) {
  const Json index = Json::parse(read_file(path, kMaxJson), path, true);
  const Json* map = index.find("weight_map");
  if (!map || !map->is_object()) {
    throw Error(ErrorCode::kModelFile, "invalid weights index", path, "it has no weight_map object",
                "fetch the file again");
  }
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [tensor, value] : map->as_object(path)) {
    if (!value.is_string()) {
      throw Error(ErrorCode::kModelFile, "invalid weights index", path,
                  "weight_map has no file name for tensor \"" + printable(tensor) + "\"", "fetch the file again");
    }
    const std::string& shard = value.as_string(path);
    const bool plain = !shard.empty() && shard != "." && shard != ".." &&
                       shard.find_first_of(std::string_view("/\\\0", 3)) == shard.npos;
    if (!plain) {
      throw Error(ErrorCode::kModelFile, "refused weights index", path,
                  "it places tensor \"" + printable(tensor) + "\" in \"" + printable(shard) +
                      "\", which is not a plain file name",
                  "shards must lie beside their index");
    }
    shards[shard].insert(tensor);
  }
  return shards;
}

std::map<std::string, Tensor> read_sharded(const std::string& index_path, std::vector<std::string>* files) {
  std::map<std::string, Tensor> out;
  const std::string directory = parent_path(index_path);
  const auto shards = read_index(index_path);
  std::vector<std::string> missing;
  for (const auto& [shard, names] : shards) {
    if (!path_exists(join_path(directory, shard))) missing.push_back(shard);
  }
  if (!missing.empty()) {
    throw Error(ErrorCode::kModelFile, "incomplete model", index_path,
                std::to_string(missing.size()) + " of " + std::to_string(shards.size()) +
                    " shards are missing: " + join_names(missing),
                "fetch the missing files");
  }
  for (const auto& [shard, names] : shards) {
    const std::string path = join_path(directory, shard);
    std::map<std::string, Tensor> tensors = read_one(path);
    for (const std::string& name : names) {
      const auto found = tensors.find(name);
      if (found == tensors.end()) {
        throw Error(
            ErrorCode::kModelFile, "incomplete model", path,
            "tensor \"" + printable(name) + "\" is missing, though " + base_name(index_path) + " places it here",
            "index and shards are from different versions; fetch all files again");
      }
      out.insert(tensors.extract(found));
    }
    if (!tensors.empty()) {
      log(LogLevel::kWarning,
          path + ": " + std::to_string(tensors.size()) + " tensors are not in the index and are left out");
    }
    if (files) files->push_back(path);
  }
  return out;
}

void refuse_foreign_quantization(const Json& config, const std::string& path) {
  const Json* mlx = config.find("quantization");
  const Json* section = config.find("quantization_config");
  if (mlx && mlx->is_object() && mlx->find("bits") && !mlx->find("quant_method") &&
      !(section && section->find("quant_method"))) {
    throw Error(ErrorCode::kModelFile, "unsupported quantization", path,
                "\"quantization\" marks weights packed by mlx, which are not supported",
                "use the original unquantized model and quantize that");
  }
  if (!section || !section->is_object()) return;
  const Json* method = section->find("quant_method");
  const Json *four = section->find("load_in_4bit"), *eight = section->find("load_in_8bit");
  const bool loads =
      (four && four->is_bool() && four->as_bool(path)) || (eight && eight->is_bool() && eight->as_bool(path));
  if ((method && method->is_string() && method->as_string(path) == "bitsandbytes") || (!method && loads)) {
    throw Error(ErrorCode::kModelFile, "unsupported quantization", path,
                "\"quantization_config\" marks weights packed by bitsandbytes, which are not supported",
                "use the original unquantized model and quantize that");
  }
}

bool has_mistral_layout(const std::string& directory, const std::vector<std::string>& names) {
  return path_exists(join_path(directory, "params.json")) &&
         std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return name.starts_with("consolidated"); });
}

[[noreturn]] void fail_mistral(const std::string& directory) {
  throw Error(ErrorCode::kModelFile, "unsupported model layout", directory,
              "params.json with consolidated weights (the Mistral layout) is not supported yet",
              "use the Hugging Face form of the model, with config.json and model.safetensors");
}

std::string find_weights(const std::string& directory) {
  for (const char* name : kWeightNames) {
    std::string path = join_path(directory, name);
    if (path_exists(path)) return path;
  }
  const std::vector<std::string> names = list_files(directory);
  if (has_mistral_layout(directory, names)) fail_mistral(directory);
  std::vector<std::string> others;
  for (const std::string& name : names) {
    if (name.ends_with(".safetensors") || name.ends_with(".bin") || name.ends_with(".gguf")) others.push_back(name);
  }
  throw Error(ErrorCode::kModelFile, "no weights found", directory,
              "looked for " + join_names({std::begin(kWeightNames), std::end(kWeightNames)}),
              others.empty() ? "fetch the weights of this model"
                             : "pass one of the files that are there: " + join_names(others));
}

// A weights file given by the user: itself, or the index where it is one shard of several.
std::string whole_of(const std::string& path) {
  const std::string name = base_name(path), directory = parent_path(path);
  for (const char* index_name : {"model.safetensors.index.json", "pytorch_model.bin.index.json"}) {
    const std::string index = join_path(directory, index_name);
    if (name.find("-of-") == name.npos || !path_exists(index)) continue;
    if (read_index(index).count(name)) return index;
  }
  return path;
}

// A path that leads to a file: the weights to read, or empty where the directory decides.
std::string weights_given(const std::string& path) {
  if (is_directory(path) || !path_exists(path) || base_name(path) == "config.json") return "";
  for (const char* ending : {".safetensors", ".bin", ".pt", ".pth", kIndexSuffix}) {
    if (path.ends_with(ending)) return whole_of(path);
  }
  throw Error(ErrorCode::kModelFile, "not a model", path,
              "the name does not end in .safetensors, .bin, .pt, .pth or .index.json",
              "pass the directory that holds config.json, or a weights file in it");
}

}  // namespace

std::string find_checkpoint(const std::string& path_or_name) {
  if (is_directory(path_or_name)) return path_or_name;
  if (path_exists(path_or_name)) return parent_path(path_or_name);
  if (is_repository_name(path_or_name)) return find_in_hub_cache(path_or_name);
  throw Error(ErrorCode::kModelFile, "model not found", path_or_name, "there is no such file or directory",
              "pass a model directory, a weights file in one, or org/name of a model in the Hugging Face cache");
}

Json read_config(const std::string& directory) {
  const std::string path = join_path(directory, "config.json");
  if (!path_exists(path)) {
    const std::vector<std::string> names = list_files(directory);
    if (has_mistral_layout(directory, names)) fail_mistral(directory);
    throw Error(ErrorCode::kModelFile, "not a model directory", directory,
                names.empty() ? "looked for config.json; it holds no files at all"
                              : "looked for config.json; it holds " + join_names(names),
                "pass the directory that holds config.json and the weights");
  }
  Json config = Json::parse(read_file(path, kMaxJson), path);
  config.as_object(path);
  refuse_foreign_quantization(config, path);
  return config;
}

std::map<std::string, Tensor> read_weights(const std::string& path, std::vector<std::string>* files) {
  if (path.ends_with(kIndexSuffix)) return read_sharded(path, files);
  std::map<std::string, Tensor> tensors = read_one(path);
  if (files) files->push_back(path);
  return tensors;
}

Checkpoint load_checkpoint(const std::string& path_or_name) {
  Checkpoint out;
  out.directory = find_checkpoint(path_or_name);
  std::string weights = weights_given(path_or_name);
  out.config = read_config(out.directory);
  if (weights.empty()) weights = find_weights(out.directory);
  out.tensors = read_weights(weights, &out.files);
  if (out.tensors.empty()) {
    throw Error(ErrorCode::kModelFile, "no weights found", weights, "the file holds no tensors",
                "fetch the file again");
  }
  return out;
}

std::vector<std::string> copy_side_files(const std::string& from_dir, const std::string& to_dir) {
  static const std::set<std::string> kNames = {"special_tokens_map.json",
                                               "added_tokens.json",
                                               "vocab.json",
                                               "vocab.txt",
                                               "merges.txt",
                                               "tokenizer.model",
                                               "tekken.json",
                                               "generation_config.json",
                                               "chat_template.jinja",
                                               "chat_template.json",
                                               "README.md"};
  std::vector<std::string> copied;
  for (const std::string& name : list_files(from_dir)) {
    const bool tokenizer = name.starts_with("tokenizer") && name.ends_with(".json");
    if (!tokenizer && !name.starts_with("LICENSE") && !kNames.count(name)) continue;
    copy_file(join_path(from_dir, name), join_path(to_dir, name));
    copied.push_back(name);
  }
  return copied;
}

}  // namespace quamba2
