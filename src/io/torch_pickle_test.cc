// SPDX-License-Identifier: Apache-2.0
// Whole torch checkpoints: archives, storages and strides.
#include "io/torch_pickle.h"

#include <gtest/gtest.h>
#include <zip.h>

#include <cstring>

#include "base/file.h"
#include "io/torch_layout.h"
#include "support/paths.h"
#include "support/torch_archive.h"

namespace quamba2 {
namespace {

namespace pkl = testing::pkl;
using testing::error_of;

std::string floats(int n) {
  std::string out;
  for (int i = 0; i < n; ++i) {
    const auto v = static_cast<float>(i);
    out.append(reinterpret_cast<const char*>(&v), 4);
  }
  return out;
}

std::string shared_storage() { return pkl::storage("FloatStorage", "0", 6); }

std::string simple_checkpoint() {
  return testing::checkpoint(pkl::program({{"a", pkl::tensor(shared_storage(), 0, {2, 3}, {3, 1})},
                                           {"tied", pkl::tensor(shared_storage(), 0, {2, 3}, {3, 1})},
                                           {"turned", pkl::tensor(shared_storage(), 0, {3, 2}, {1, 3})},
                                           {"tail", pkl::tensor(shared_storage(), 4, {2}, {1})},
                                           {"every_second", pkl::tensor(shared_storage(), 1, {3}, {2})},
                                           {"scalar", pkl::tensor(shared_storage(), 5, {}, {})},
                                           {"empty", pkl::tensor(shared_storage(), 6, {0, 3}, {3, 1})}}),
                             {floats(6)});
}

std::string refusal(const std::string& file) {
  return error_of([&] { read_torch_checkpoint(std::string_view(file), "model.bin"); });
}

void expect_simple(const std::map<std::string, Tensor>& tensors) {
  ASSERT_EQ(tensors.size(), 7u);
  EXPECT_EQ(to_floats(tensors.at("a")), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(tensors.at("turned").shape(), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(to_floats(tensors.at("turned")), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(to_floats(tensors.at("tail")), (std::vector<float>{4, 5}));
  EXPECT_EQ(to_floats(tensors.at("every_second")), (std::vector<float>{1, 3, 5}));
  EXPECT_EQ(to_floats(tensors.at("scalar")), (std::vector<float>{5}));
  EXPECT_EQ(tensors.at("empty").elements(), 0);
}

TEST(TorchCheckpoint, ReadsSharedStridedEmptyAndScalarTensors) {
  expect_simple(read_torch_checkpoint(std::string_view(simple_checkpoint()), "model.bin"));
}

TEST(TorchCheckpoint, MapsWhatIsAlignedAndCopiesWhatIsNot) {
  const std::string path = testing::temporary_directory() + "/model.bin";
  for (size_t shift = 0; shift < 4; ++shift) {
    // The storage moves byte by byte as the name of an earlier entry grows.
    const std::string pickle = pkl::program({{"a", pkl::tensor(shared_storage(), 0, {2, 3}, {3, 1})},
                                             {"tied", pkl::tensor(shared_storage(), 0, {2, 3}, {3, 1})}});
    const std::string file =
        testing::archive({{std::string(1 + shift, 'x'), ""}, {"data.pkl", pickle}, {"data/0", floats(6)}});
    testing::write_bytes(path, file);
    const auto tensors = read_torch_checkpoint(path);
    const bool aligned = file.find(floats(6)) % 4 == 0;
    EXPECT_EQ(tensors.at("a").data() == tensors.at("tied").data(), aligned) << shift;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensors.at("a").data()) % 4, 0u);
    EXPECT_EQ(to_floats(tensors.at("tied")), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  }
}

TEST(TorchCheckpoint, ReadsCompressedArchives) {
  const std::string path = testing::temporary_directory() + "/deflated.bin";
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  ASSERT_NE(archive, nullptr);
  const std::string pickle = pkl::program({{"a", pkl::tensor(pkl::storage("FloatStorage", "0", 1000), 0, {1000}, {1})},
                                           {"b", pkl::tensor(pkl::storage("FloatStorage", "0", 1000), 999, {}, {})}});
  const std::string data = floats(1000);
  zip_file_add(archive, "m/data.pkl", zip_source_buffer(archive, pickle.data(), pickle.size(), 0), 0);
  zip_file_add(archive, "m/data/0", zip_source_buffer(archive, data.data(), data.size(), 0), 0);
  ASSERT_EQ(zip_close(archive), 0);
  const auto tensors = read_torch_checkpoint(path);
  EXPECT_EQ(to_floats(tensors.at("a"))[777], 777);
  EXPECT_EQ(to_floats(tensors.at("b"))[0], 999);
  std::string bytes = read_file(path);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x55);
    EXPECT_EQ(refusal(changed).find("internal"), std::string::npos) << i;
  }
}

TEST(TorchCheckpoint, ReadsZip64AndFindsItsFaults) {
  const std::string pickle = pkl::program({{"a", pkl::tensor(shared_storage(), 0, {6}, {1})}});
  const std::string file = testing::archive({{"m/data.pkl", pickle}, {"m/data/0", floats(6)}}, true);
  EXPECT_EQ(to_floats(read_torch_checkpoint(std::string_view(file), "model.bin").at("a"))[5], 5);
  for (size_t n = 0; n < file.size(); ++n) EXPECT_NE(refusal(file.substr(0, n)), "") << n;
  for (size_t i = 0; i < file.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string changed = file;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      EXPECT_EQ(refusal(changed).find("internal"), std::string::npos) << i;
    }
  }
  std::string changed = file;
  changed[file.find(testing::little(1, 2) + testing::little(24, 2))] = 9;  // no ZIP64 field any more
  EXPECT_NE(refusal(changed).find("entry \"m/data.pkl\" lacks its ZIP64 field"), std::string::npos) << refusal(changed);
}

TEST(TorchCheckpoint, ReadsWhatPythonZips) {
  for (const char* name : {"stored", "deflated", "zip64"}) {
    const auto tensors = read_torch_checkpoint(testing::source_path("tests/fuzz/corpus/torch_zip/") + name);
    ASSERT_EQ(tensors.size(), 3u) << name;
    EXPECT_EQ(to_floats(tensors.at("a")), (std::vector<float>{0, 1, 2, 3, 4, 5})) << name;
    EXPECT_EQ(to_floats(tensors.at("b")), (std::vector<float>{0, 3, 1, 4, 2, 5})) << name;
    EXPECT_EQ(to_floats(tensors.at("c")), (std::vector<float>{5})) << name;
  }
}

TEST(TorchCheckpoint, EveryTruncationIsAnError) {
  const std::string file = simple_checkpoint();
  for (size_t n = 0; n < file.size(); ++n) EXPECT_NE(refusal(file.substr(0, n)), "") << n;
}

TEST(TorchCheckpoint, EveryFlippedByteIsAnErrorOrTensors) {
  const std::string file = simple_checkpoint();
  for (size_t i = 0; i < file.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string changed = file;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      EXPECT_EQ(refusal(changed).find("internal"), std::string::npos) << i;
    }
  }
}

TEST(TorchCheckpoint, WrongFilesAreNamedForWhatTheyAre) {
  const std::pair<std::string, const char*> kWrong[] = {
      {"", "the file is empty"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"},
      {"<!DOCTYPE html><html>", "web page"},
      {std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15), "before PyTorch 1.6"},
      {std::string(257, 'x') + "ustar" + std::string(250, 'x'), "before PyTorch 1.6"},
      {std::string("\x10\0\0\0\0\0\0\0{}", 10), "not a zip archive"},
      {testing::archive({{"a.txt", "x"}}), "without data.pkl"},
      {testing::archive({{"a/data.pkl", "x"}, {"b/data.pkl", "x"}}), "two pickles"},
      {testing::archive({{"a/data.pkl", "x"}, {"a/data.pkl", "x"}}), "appears twice"},
      {testing::archive({{"a/data.pkl", "x"}, {"a/constants.pkl", "x"}}), "TorchScript"},
      {testing::archive({{"a/data.pkl", "x"}, {"a/byteorder", "big"}}), "byte order is \"big\""}};
  for (const auto& [file, expected] : kWrong) {
    const std::string message = refusal(file);
    EXPECT_NE(message.find(expected), std::string::npos) << message;
    EXPECT_NE(message.find("model.bin"), std::string::npos) << message;
  }
}

TEST(TorchCheckpoint, MissingAndShortStoragesAreNamed) {
  const std::string pickle = pkl::program({{"a.weight", pkl::tensor(shared_storage(), 0, {2, 3}, {3, 1})}});
  const std::string missing = refusal(testing::checkpoint(pickle, {}));
  EXPECT_NE(missing.find("tensor \"a.weight\"): its data, entry m/data/0, is missing"), std::string::npos) << missing;
  const std::string short_one = refusal(testing::checkpoint(pickle, {floats(5)}));
  EXPECT_NE(short_one.find("should have 24 bytes, but has 20"), std::string::npos) << short_one;
}

TEST(TorchCheckpoint, EntryPastTheEndOfTheFileIsRefused) {
  const std::string pickle =
      pkl::program({{"a", pkl::tensor(pkl::storage("FloatStorage", "0", 1000), 0, {1000}, {1})}});
  std::string file = testing::checkpoint(pickle, {floats(6)});
  const size_t sizes = file.rfind("PK\x01\x02") + 20;  // the directory's record of data/0: packed and content size
  file.replace(sizes, 8, testing::little(4000, 4) + testing::little(4000, 4));
  EXPECT_NE(refusal(file).find("entry \"m/data/0\" has 4000 bytes at byte "), std::string::npos) << refusal(file);
}

struct Layout {
  int64_t elements, offset;
  std::vector<int64_t> shape, strides;
  const char* why;  // null: accepted
};

TEST(TorchLayout, OverlapsAndReachesOutsideAreRefused) {
  constexpr int64_t kHuge = int64_t{1} << 55, kMost = INT64_MAX;
  const Layout kLayouts[] = {{6, 0, {2, 3}, {3, 1}, nullptr},
                             {6, 0, {3, 2}, {1, 3}, nullptr},
                             {6, 5, {1, 1}, {kMost, kMost}, nullptr},
                             {6, 6, {0}, {1}, nullptr},
                             {6, 0, {0, 3}, {-1, kMost}, nullptr},
                             {0, 0, {0}, {1}, nullptr},
                             {6, 0, {7}, {1}, "reach past its storage of 6 elements"},
                             {6, 1, {2, 3}, {3, 1}, "reach past"},
                             {6, 6, {1}, {1}, "lie outside"},
                             {6, 7, {0}, {1}, "lie outside"},
                             {6, -1, {1}, {1}, "lie outside"},
                             {6, 0, {2}, {-1}, "negative"},
                             {6, 0, {2}, {0}, "several elements on one place"},
                             {6, 0, {3, 3}, {1, 1}, "several elements on one place"},
                             {9, 0, {3, 3}, {2, 2}, "several elements on one place"},
                             {6, 0, {2}, {kMost}, "reach past"},
                             {6, 0, {2, 2}, {kMost, kMost - 1}, "reach past"},
                             {6, 0, {kHuge, kHuge}, {1, 1}, "exceed 2^62"},
                             {6, 0, {-1}, {1}, "out of range"},
                             {kMost, 0, {1}, {1}, "out of range"},
                             {kHuge, 0, {2, 2}, {kHuge / 2, kHuge - 1}, "reach past"}};
  for (const Layout& layout : kLayouts) {
    PickledTensor tensor;
    tensor.storage_elements = layout.elements;
    tensor.offset = layout.offset;
    tensor.shape = layout.shape;
    tensor.strides = layout.strides;
    const std::string message = error_of([&] { check_layout(tensor, "model.bin: tensor \"t\""); });
    const std::string what = shape_text(layout.shape) + " " + shape_text(layout.strides) + ": " + message;
    if (layout.why) {
      EXPECT_NE(message.find(layout.why), std::string::npos) << what;
      EXPECT_NE(message.find("tensor \"t\""), std::string::npos) << what;
    } else {
      EXPECT_EQ(message, "") << what;
    }
  }
}

TEST(TorchLayout, CopiesOfOneFileAreBounded) {
  // A thousand turned views of one storage of 1.2 MB: 1.2 GB from a file that is a thousandth of that.
  const std::string storage = pkl::storage("FloatStorage", "0", 300000);
  std::vector<std::pair<std::string, std::string>> items;
  for (int i = 0; i < 1000; ++i) items.emplace_back(std::to_string(i), pkl::tensor(storage, 0, {300, 1000}, {1, 300}));
  const std::string message = refusal(testing::checkpoint(pkl::program(items), {std::string(1200000, '\0')}));
  EXPECT_NE(message.find("more than four times its size"), std::string::npos) << message;
}

}  // namespace
}  // namespace quamba2
