// SPDX-License-Identifier: Apache-2.0
// Reading safetensors files, right and wrong ones.
#include "io/safetensors.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "io/file_kind.h"
#include "support/paths.h"
#include "support/torch_archive.h"

namespace quamba2 {
namespace {

using testing::error_of;
using testing::little;

std::string file_of(const std::string& header, size_t data_bytes) {
  return little(header.size(), 8) + header + std::string(data_bytes, '\x01');
}

std::string refusal(const std::string& file) {
  return error_of([&] { parse_safetensors(file, "x.safetensors"); });
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return std::string("\"") + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

TEST(Safetensors, ReadsEveryTypeInTheOrderOfItsBytes) {
  const std::string header =
      "{" + entry("late", "U8", "[3]", "[39,42]") + "," + entry("f64", "F64", "[]", "[0,8]") + "," +
      entry("i64", "I64", "[1]", "[8,16]") + "," + entry("f32", "F32", "[1,2]", "[16,24]") + "," +
      entry("i32", "I32", "[1]", "[24,28]") + "," + entry("f16", "F16", "[2]", "[28,32]") + "," +
      entry("bf16", "BF16", "[3,1]", "[32,38]") + "," + entry("i8", "I8", "[1]", "[38,39]") + "," +
      entry("none", "F32", "[0,9]", "[42,42]") + ",\"__metadata__\":{\"format\":\"pt\"}}   ";
  const SafetensorsLayout layout = parse_safetensors(file_of(header, 42), "x.safetensors");
  ASSERT_EQ(layout.entries.size(), 9u);
  EXPECT_EQ(layout.entries[0].name, "f64");
  EXPECT_EQ(layout.entries[0].begin, 8 + header.size());
  EXPECT_EQ(layout.entries[7].name, "late");
  EXPECT_EQ(layout.entries[7].dtype, DType::kU8);
  EXPECT_EQ(layout.entries[8].shape, (std::vector<int64_t>{0, 9}));
  EXPECT_EQ(layout.metadata.at("format"), "pt");
}

struct Wrong {
  const char* label;
  std::string file;
  const char* why;
};

TEST(Safetensors, MalformedFilesAreRefusedWithTheirNumbers) {
  const std::string good = entry("a", "U8", "[2]", "[0,2]");
  const Wrong kWrong[] = {
      {"empty", "", "the file is empty"},
      {"lfs", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
      {"short", "abc", "it has 3 bytes"},
      {"2^63", little(uint64_t{1} << 63, 8) + "{}", "claims 9223372036854775808 bytes"},
      {"most", little(~uint64_t{0}, 8) + "{}", "claims 18446744073709551615 bytes"},
      {"over 100 MB", little(100'000'001, 8) + "{}", "more than the 100000000 allowed"},
      {"past end", little(3, 8) + "{}", "claims 3 bytes, but only 2"},
      {"no brace", file_of(" {}", 0), "does not begin with '{'"},
      {"no header", file_of("", 0), "does not begin with '{'"},
      {"list", file_of("[]", 0), "does not begin with '{'"},
      {"text", file_of("{\"a\":1", 0), "invalid JSON"},
      {"two documents", file_of("{}{}", 0), "invalid JSON"},
      {"trailing bytes", file_of("{}", 5), "the file has 5 bytes of data"},
      {"negative begin", file_of("{" + entry("a", "U8", "[2]", "[-2,0]") + "}", 2), "whole numbers from 0"},
      {"fraction", file_of("{" + entry("a", "U8", "[2]", "[0.5,2]") + "}", 2), "whole numbers from 0"},
      {"whole float", file_of("{" + entry("a", "U8", "[2.0]", "[0,2]") + "}", 2), "whole numbers from 0"},
      {"negative dim", file_of("{" + entry("a", "U8", "[-2]", "[0,2]") + "}", 2), "whole numbers from 0"},
      {"2^64 offset", file_of("{" + entry("a", "U8", "[2]", "[0,18446744073709551616]") + "}", 2),
       "whole numbers from 0"},
      {"backwards", file_of("{" + entry("a", "U8", "[2]", "[2,0]") + "}", 2), "end before they begin"},
      {"past data", file_of("{" + entry("a", "U8", "[3]", "[0,3]") + "}", 2), "reach past the 2 bytes of data"},
      {"overlap", file_of("{" + good + "," + entry("b", "U8", "[2]", "[1,3]") + "}", 3), "overlap"},
      {"same place", file_of("{" + good + "," + entry("b", "U8", "[2]", "[0,2]") + "}", 2), "overlap"},
      {"hole", file_of("{" + good + "," + entry("b", "U8", "[2]", "[3,5]") + "}", 5), "hole"},
      {"first hole", file_of("{" + entry("a", "U8", "[2]", "[1,3]") + "}", 3), "hole"},
      {"size", file_of("{" + entry("a", "F32", "[2,3]", "[0,20]") + "}", 20),
       "shape [2, 3] of F32 needs 24 bytes, but data_offsets [0, 20] hold 20"},
      {"overflow", file_of("{" + entry("a", "F32", "[4294967296,4294967296]", "[0,0]") + "}", 0), "2^62"},
      {"wrap to 4", file_of("{" + entry("a", "F32", "[4611686018427387905]", "[0,4]") + "}", 4), "out of range"},
      {"twice", file_of("{" + good + "," + good + "}", 2), "appears twice"},
      {"metadata twice", file_of("{\"__metadata__\":{},\"__metadata__\":{}}", 0), "appears twice"},
      {"metadata number", file_of("{\"__metadata__\":{\"a\":1}}", 0), "\"a\" is not a string"},
      {"metadata list", file_of("{\"__metadata__\":[]}", 0), "not an object"},
      {"dtype", file_of("{" + entry("a.b", "F8_E4M3", "[2]", "[0,2]") + "}", 2), "dtype F8_E4M3 is not supported"},
      {"dtype case", file_of("{" + entry("a", "f32", "[1]", "[0,4]") + "}", 4), "dtype f32 is not supported"},
      {"no dtype", file_of("{\"a\":{\"shape\":[2],\"data_offsets\":[0,2]}}", 2), "lacks dtype"},
      {"null shape", file_of("{\"a\":{\"dtype\":\"U8\",\"shape\":null,\"data_offsets\":[0,2]}}", 2), "lacks dtype"},
      {"three offsets", file_of("{" + entry("a", "U8", "[2]", "[0,2,2]") + "}", 2), "list of two numbers"},
      {"entry number", file_of("{\"a\":7}", 0), "lacks dtype"},
      {"not UTF-8", file_of("{" + entry("\xff\xfe", "U8", "[2]", "[0,2]") + "}", 2), "invalid JSON"},
      {"deep", file_of("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}", 0), "nested deeper"}};
  for (const Wrong& wrong : kWrong) {
    const std::string message = refusal(wrong.file);
    EXPECT_NE(message.find(wrong.why), std::string::npos) << wrong.label << ": " << message;
    EXPECT_NE(message.find("(x.safetensors"), std::string::npos) << wrong.label << ": " << message;
  }
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const std::string file =
      file_of("{" + entry("a", "F32", "[2,2]", "[0,16]") + "," + entry("b", "U8", "[3]", "[16,19]") + "}", 19);
  EXPECT_EQ(refusal(file), "");
  for (size_t n = 0; n < file.size(); ++n) EXPECT_NE(refusal(file.substr(0, n)), "") << n;
}

TEST(Safetensors, EveryFlippedHeaderByteIsAnErrorOrALayout) {
  const std::string file =
      file_of("{" + entry("a", "F32", "[2,2]", "[0,16]") + "," + entry("b", "U8", "[3]", "[16,19]") + "}", 19);
  for (size_t i = 0; i < file.size() - 19; ++i) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = file;
      changed[i] = static_cast<char>(value);
      EXPECT_EQ(refusal(changed).find("internal"), std::string::npos);
    }
  }
}

TEST(Safetensors, DataAtOddAddressesIsCopiedAndTheRestIsMapped) {
  const std::string path = testing::temporary_directory() + "/odd.safetensors";
  for (size_t pad = 0; pad < 8; ++pad) {
    const std::string header = std::string("{") + entry("a", "I64", "[2]", "[0,16]") + "}" + std::string(pad, ' ');
    testing::write_bytes(path, file_of(header, 16));
    const auto tensors = read_safetensors(path);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensors.at("a").data()) % 8, 0u);
    EXPECT_EQ(tensors.at("a").as<int64_t>()[1], 0x0101010101010101);
  }
}

TEST(Printable, ShowsTextAndHidesControls) {
  EXPECT_EQ(printable("a.b é 日本 😀"), "a.b é 日本 😀");
  EXPECT_EQ(printable("a\x1b[31m\n\x7f"), "a?[31m??");
  EXPECT_EQ(printable("\xff\xc0\x80 \xed\xa0\x80 \xf5\x80\x80\x80 \xc2\x9b \xe6\x97"), "??? ??? ???? ?? ??");
  EXPECT_EQ(printable(std::string(1000, 'x')), std::string(200, 'x') + "...");
}

}  // namespace
}  // namespace quamba2
