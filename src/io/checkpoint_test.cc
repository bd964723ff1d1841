// SPDX-License-Identifier: Apache-2.0
// Model directories, weights files and the Hugging Face cache.
#include "io/checkpoint.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "io/hf_cache.h"
#include "io/safetensors.h"
#include "support/paths.h"
#include "support/torch_archive.h"

namespace quamba2 {
namespace {

using testing::error_of;
using testing::write_bytes;

Tensor one(float value) { return Tensor::from({1}, {value}); }

std::string model_directory(const std::string& config = "{\"model_type\": \"mamba2\", \"limit\": [0.0, Infinity]}") {
  const std::string directory = testing::temporary_directory();
  write_bytes(join_path(directory, "config.json"), config);
  return directory;
}

std::string sharded_directory(const std::string& weight_map) {
  const std::string directory = model_directory();
  write_safetensors(join_path(directory, "model-1-of-2.safetensors"), {{"a", one(1)}, {"extra", one(9)}});
  write_safetensors(join_path(directory, "model-2-of-2.safetensors"), {{"b", one(2)}});
  write_bytes(join_path(directory, "model.safetensors.index.json"),
              "{\"metadata\": {}, \"weight_map\": " + weight_map + "}");
  return directory;
}

std::string refusal(const std::string& path) {
  return error_of([&] { load_checkpoint(path); });
}

void expect_refusal(const std::string& path, const std::string& why) {
  const std::string message = refusal(path);
  EXPECT_NE(message.find(why), std::string::npos) << message;
}

// Sets variables of the environment for one test; null unsets.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value ? setenv(name, value, 1) : unsetenv(name);
  }
  ~Environment() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(Checkpoint, DirectoryFileAndConfigLeadToTheSameModel) {
  const std::string directory = model_directory();
  write_safetensors(join_path(directory, "model.safetensors"), {{"a", one(1)}});
  for (const char* name : {"", "/", "/model.safetensors", "/config.json"}) {
    const Checkpoint model = load_checkpoint(directory + name);
    EXPECT_EQ(model.config.get("model_type", ""), "mamba2") << name;
    EXPECT_EQ(to_floats(model.tensors.at("a"))[0], 1.0f);
    ASSERT_EQ(model.files.size(), 1u);
    EXPECT_EQ(base_name(model.files[0]), "model.safetensors");
  }
  write_safetensors(join_path(directory, "other.safetensors"), {{"a", one(7)}});
  EXPECT_EQ(to_floats(load_checkpoint(join_path(directory, "other.safetensors")).tensors.at("a"))[0], 7.0f);
  expect_refusal(join_path(directory, "nothing.safetensors"), "no such file");
}

TEST(Checkpoint, ShardsAreJoinedAndAShardLeadsToAll) {
  const std::string directory =
      sharded_directory("{\"a\": \"model-1-of-2.safetensors\", \"b\": \"model-2-of-2.safetensors\"}");
  for (const char* name : {"", "/model.safetensors.index.json", "/model-2-of-2.safetensors"}) {
    const Checkpoint model = load_checkpoint(directory + name);
    ASSERT_EQ(model.tensors.size(), 2u) << name;
    EXPECT_EQ(to_floats(model.tensors.at("b"))[0], 2.0f);
    EXPECT_EQ(model.files.size(), 2u);
  }
}

TEST(Checkpoint, TorchShardsAreJoined) {
  namespace pkl = testing::pkl;
  const std::string directory = model_directory();
  for (const char* name : {"a", "b"}) {
    const std::string pickle = pkl::program({{name, pkl::tensor(pkl::storage("ByteStorage", "0", 2), 0, {2}, {1})}});
    write_bytes(directory + "/pytorch_model-" + name + ".bin", testing::checkpoint(pickle, {name + std::string("!")}));
  }
  write_bytes(join_path(directory, "pytorch_model.bin.index.json"),
              "{\"weight_map\": {\"a\": \"pytorch_model-a.bin\", \"b\": \"pytorch_model-b.bin\"}}");
  const Checkpoint model = load_checkpoint(directory);
  EXPECT_EQ(model.tensors.at("b").as<char>()[0], 'b');
  EXPECT_EQ(model.tensors.at("a").as<char>()[1], '!');
}

TEST(Checkpoint, BrokenIndexesAreRefused) {
  const std::pair<const char*, const char*> kWrong[] = {
      {"{\"a\": \"../model-1-of-2.safetensors\"}", "not a plain file name"},
      {"{\"a\": \"/etc/passwd\"}", "not a plain file name"},
      {"{\"a\": \"..\"}", "not a plain file name"},
      {"{\"a\": \"\"}", "not a plain file name"},
      {"{\"a\": \"x\\\\y\"}", "not a plain file name"},
      {"{\"a\": \"model-1-of-2.safetensors\\u0000\"}", "not a plain file name"},
      {"{\"a\": 7}", "no file name for tensor \"a\""},
      {"{\"a\": \"gone.safetensors\"}", "1 of 1 shards are missing: gone.safetensors"},
      {"{\"b\": \"model-1-of-2.safetensors\"}",
       "tensor \"b\" is missing, though model.safetensors.index.json places it here"},
      {"{\"a\": \"x\", \"a\": \"y\"}", "appears twice"},
      {"[]", "no weight_map object"},
      {"{}", "the file holds no tensors"}};
  for (const auto& [map, why] : kWrong) expect_refusal(sharded_directory(map), why);
}

TEST(Checkpoint, WhatIsMissingIsListed) {
  const std::string empty = testing::temporary_directory();
  expect_refusal(empty, "looked for config.json; it holds no files at all");
  expect_refusal(empty + "/nothing/here", "no such file or directory");
  const std::string bare = model_directory();
  expect_refusal(bare, "looked for model.safetensors, model.safetensors.index.json, pytorch_model.bin");
  write_safetensors(join_path(bare, "ema.safetensors"), {{"a", one(1)}});
  expect_refusal(bare, "pass one of the files that are there: ema.safetensors");
  write_bytes(join_path(bare, "notes.txt"), "x");
  expect_refusal(join_path(bare, "notes.txt"), "does not end in .safetensors");
}

TEST(Checkpoint, ForeignLayoutsAndQuantizationsAreRefused) {
  const std::string mistral = testing::temporary_directory();
  write_bytes(join_path(mistral, "params.json"), "{}");
  write_bytes(join_path(mistral, "consolidated.safetensors"), "");
  expect_refusal(mistral, "Mistral layout");
  const std::pair<const char*, const char*> kWrong[] = {
      {"{\"quantization\": {\"group_size\": 64, \"bits\": 4}}", "packed by mlx"},
      {"{\"quantization_config\": {\"quant_method\": \"bitsandbytes\"}}", "packed by bitsandbytes"},
      {"{\"quantization_config\": {\"load_in_8bit\": true}}", "packed by bitsandbytes"},
      {"[]", "an object is expected"},
      {"{\"a\": ", "invalid JSON"}};
  for (const auto& [config, why] : kWrong) expect_refusal(model_directory(config), why);
  const std::string ours = model_directory("{\"quantization_config\": {\"quant_method\": \"compressed-tensors\"}}");
  write_safetensors(join_path(ours, "model.safetensors"), {{"a", one(1)}});
  EXPECT_EQ(refusal(ours), "");
}

TEST(HubCache, IsFoundByTheUsualVariables) {
  const Environment a("HF_HUB_CACHE", nullptr), b("HF_HOME", nullptr), c("XDG_CACHE_HOME", nullptr),
      d("HOME", "/home/x");
  EXPECT_EQ(hub_cache_directory(), "/home/x/.cache/huggingface/hub");
  const Environment e("XDG_CACHE_HOME", "/c");
  EXPECT_EQ(hub_cache_directory(), "/c/huggingface/hub");
  const Environment f("HF_HOME", "/h");
  EXPECT_EQ(hub_cache_directory(), "/h/hub");
  const Environment g("HF_HUB_CACHE", "/hub");
  EXPECT_EQ(hub_cache_directory(), "/hub");
}

TEST(HubCache, NamesLeadToTheSnapshotOfMain) {
  const std::string cache = testing::temporary_directory();
  const Environment variable("HF_HUB_CACHE", cache.c_str());
  expect_refusal("org/model", "nor models--org--model in the Hugging Face cache " + cache);
  expect_refusal("org/model", "hf download org/model");
  const std::string repository = join_path(cache, "models--org--model"), snapshot = repository + "/snapshots/abc123";
  std::filesystem::create_directories(snapshot);
  write_bytes(join_path(snapshot, "config.json"), "{}");
  write_safetensors(join_path(snapshot, "model.safetensors"), {{"a", one(1)}});
  EXPECT_EQ(load_checkpoint("org/model").directory, snapshot);  // the only one
  std::filesystem::create_directories(repository + "/snapshots/def");
  expect_refusal("org/model", "no refs/main and 2 snapshots");
  std::filesystem::create_directories(repository + "/refs");
  write_bytes(repository + "/refs/main", "abc123\n");
  EXPECT_EQ(load_checkpoint("org/model").directory, snapshot);
  write_bytes(repository + "/refs/main", "999");
  expect_refusal("org/model", "revision 999");
  write_bytes(repository + "/refs/main", "../../../etc");
  expect_refusal("org/model", "is not a revision");
}

TEST(HubCache, OnlyPlainNamesAreRepositories) {
  for (const char* name : {"gpt2", "org/model-1.5_x", "state-spaces/mamba-130m"})
    EXPECT_TRUE(is_repository_name(name)) << name;
  for (const char* name : {"", "a/b/c", "/a", "a/", "../a", "a/..", "-a/b", "a b", "~/x", "./model"}) {
    EXPECT_FALSE(is_repository_name(name)) << name;
  }
}

TEST(SideFiles, TokenizerAndTextsAreCopiedAndWeightsAreNot) {
  const std::string from = testing::temporary_directory(), to = testing::temporary_directory();
  for (const char* name :
       {"config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json",
        "tokenizer.model", "vocab.json", "merges.txt", "LICENSE.md", "README.md", "chat_template.jinja",
        "generation_config.json", "training_args.bin", "eval.txt"}) {
    write_bytes(join_path(from, name), std::string("content of ") + name);
  }
  const std::vector<std::string> expected = {
      "LICENSE.md", "README.md",      "chat_template.jinja", "generation_config.json",
      "merges.txt", "tokenizer.json", "tokenizer.model",     "tokenizer_config.json",
      "vocab.json"};
  EXPECT_EQ(copy_side_files(from, to), expected);
  EXPECT_EQ(list_files(to), expected);
  EXPECT_EQ(read_file(join_path(to, "merges.txt")), "content of merges.txt");
}

}  // namespace
}  // namespace quamba2
