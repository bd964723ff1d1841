// SPDX-License-Identifier: Apache-2.0
// What is written is read back, in one file or in shards, and an interrupted write leaves nothing.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "base/file.h"
#include "base/json.h"
#include "io/checkpoint.h"
#include "io/safetensors.h"
#include "support/paths.h"
#include "support/torch_archive.h"

namespace quamba2 {
namespace {

using testing::error_of;

Tensor filled(DType dtype, const std::vector<int64_t>& shape, int seed) {
  Tensor out(dtype, shape);
  for (size_t i = 0; i < out.bytes(); ++i)
    out.as<uint8_t>()[i] = static_cast<uint8_t>(i * 37 + static_cast<size_t>(seed));
  return out;
}

NamedTensors some_tensors() {
  return {{"bytes", filled(DType::kU8, {3}, 1)},       {"double", filled(DType::kF64, {2, 2}, 2)},
          {"half", filled(DType::kF16, {5}, 3)},       {"empty", filled(DType::kF32, {0, 4}, 4)},
          {"scalar", filled(DType::kF32, {}, 5)},      {"brain", filled(DType::kBF16, {1, 3}, 6)},
          {"small", filled(DType::kI8, {2, 1, 3}, 7)}, {"long", filled(DType::kI64, {3}, 8)},
          {"na\"me é", filled(DType::kI32, {2}, 9)}};
}

void expect_equal(const Tensor& a, const Tensor& b, const std::string& name) {
  EXPECT_EQ(a.dtype(), b.dtype()) << name;
  EXPECT_EQ(a.shape(), b.shape()) << name;
  ASSERT_EQ(a.bytes(), b.bytes()) << name;
  EXPECT_TRUE(a.bytes() == 0 || std::memcmp(a.data(), b.data(), a.bytes()) == 0) << name;
}

TEST(SafetensorsWrite, RoundTripIsExactAndAligned) {
  const std::string path = testing::temporary_directory() + "/m.safetensors";
  write_safetensors(path, some_tensors());
  StringMap metadata;
  const auto read = read_safetensors(path, &metadata);
  EXPECT_EQ(metadata, (StringMap{{"format", "pt"}}));
  ASSERT_EQ(read.size(), some_tensors().size());
  for (const auto& [name, tensor] : some_tensors()) expect_equal(read.at(name), tensor, name);
  const std::string bytes = read_file(path);
  const SafetensorsLayout layout = parse_safetensors(bytes, path);
  EXPECT_EQ(layout.entries.front().begin % 8, 0u);
  for (const auto& entry : layout.entries)
    EXPECT_EQ(entry.begin % static_cast<uint64_t>(bits_of(entry.dtype) / 8), 0u) << entry.name;
}

TEST(SafetensorsWrite, MetadataAndNoTensors) {
  const std::string path = testing::temporary_directory() + "/m.safetensors";
  write_safetensors(path, {}, {{"a", "1"}, {"b", "q\"\n"}});
  StringMap metadata;
  EXPECT_TRUE(read_safetensors(path, &metadata).empty());
  EXPECT_EQ(metadata, (StringMap{{"a", "1"}, {"b", "q\"\n"}}));
}

TEST(SafetensorsWrite, PackedTensorsBecomeWords) {
  const std::string path = testing::temporary_directory() + "/m.safetensors";
  const Tensor four = filled(DType::kI4, {3, 9}, 1), six = filled(DType::kI6, {2, 17}, 2);
  write_safetensors(path, {{"four", four}, {"six", six}});
  const auto read = read_safetensors(path);
  EXPECT_EQ(read.at("four").dtype(), DType::kI32);
  EXPECT_EQ(read.at("four").shape(), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(read.at("six").shape(), (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(std::memcmp(read.at("four").data(), four.data(), four.bytes()), 0);
  EXPECT_EQ(std::memcmp(read.at("six").data(), six.data(), six.bytes()), 0);
}

TEST(SafetensorsWrite, OneFileWhereItFitsAndShardsWhereNot) {
  const std::string one = testing::temporary_directory(), many = testing::temporary_directory();
  EXPECT_EQ(write_checkpoint(one, some_tensors()), (std::vector<std::string>{"model.safetensors"}));
  const auto files = write_checkpoint(many, some_tensors(), 40);
  ASSERT_GT(files.size(), 3u);
  EXPECT_EQ(files.back(), "model.safetensors.index.json");
  EXPECT_EQ(list_files(many), files);
  const std::string count = std::string("-of-0000") + std::to_string(files.size() - 1) + ".safetensors";
  EXPECT_EQ(files[0], "model-00001" + count);
  for (size_t i = 0; i + 1 < files.size(); ++i) {
    uint64_t bytes = 0;
    const auto shard = read_safetensors(join_path(many, files[i]));
    for (const auto& [name, tensor] : shard) bytes += tensor.bytes();
    EXPECT_LE(bytes, 40u) << files[i];
  }
  uint64_t total = 0;
  for (const auto& [name, tensor] : some_tensors()) total += tensor.bytes();
  const Json index = Json::parse(read_file(join_path(many, files.back())), "index");
  EXPECT_EQ(index.find("metadata")->get("total_size", 0), static_cast<int64_t>(total));
  for (const std::string& directory : {one, many}) {
    testing::write_bytes(join_path(directory, "config.json"), "{\"model_type\": \"mamba\"}");
    const Checkpoint model = load_checkpoint(directory);
    ASSERT_EQ(model.tensors.size(), some_tensors().size());
    for (const auto& [name, tensor] : some_tensors()) expect_equal(model.tensors.at(name), tensor, name);
  }
}

TEST(SafetensorsWrite, TensorLargerThanAShardGetsItsOwn) {
  const std::string directory = testing::temporary_directory();
  const auto files =
      write_checkpoint(directory, {{"a", filled(DType::kU8, {100}, 1)}, {"b", filled(DType::kU8, {1}, 1)}}, 10);
  EXPECT_EQ(files.size(), 3u);
}

TEST(SafetensorsWrite, WriteThatStopsHalfwayLeavesNothing) {
  const std::string directory = testing::temporary_directory();
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 4096;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = error_of([&] { write_checkpoint(directory, {{"a", filled(DType::kU8, {100000}, 1)}}); });
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("cannot write (" + directory), std::string::npos) << message;
  EXPECT_TRUE(list_files(directory).empty());
}

TEST(SafetensorsWrite, FailuresLeaveNothingBehind) {
  const std::string directory = testing::temporary_directory();
  const std::string path = join_path(directory, "m.safetensors");
  const NamedTensors twice = {{"a", filled(DType::kU8, {1}, 1)}, {"a", filled(DType::kU8, {1}, 2)}};
  EXPECT_NE(error_of([&] { write_safetensors(path, twice); }).find("\"a\" is taken"), std::string::npos);
  EXPECT_NE(error_of([&] { write_checkpoint(directory, {twice[0], {"b", filled(DType::kU8, {9}, 1)}, twice[1]}, 5); }),
            "");
  EXPECT_NE(error_of([&] { write_safetensors(path, {{"a", Tensor()}}); }).find("has no data"), std::string::npos);
  EXPECT_TRUE(list_files(directory).empty());
  EXPECT_NE(
      error_of([&] { write_safetensors(directory + "/missing/m.safetensors", some_tensors()); }).find("no such file"),
      std::string::npos);
  // A write over an existing file that fails in the middle leaves the old one.
  write_safetensors(path, some_tensors());
  const std::string before = read_file(path);
  EXPECT_NE(error_of([&] { write_safetensors(path, twice); }), "");
  EXPECT_EQ(read_file(path), before);
  EXPECT_EQ(list_files(directory), (std::vector<std::string>{"m.safetensors"}));
}

}  // namespace
}  // namespace quamba2
