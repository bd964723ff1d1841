// SPDX-License-Identifier: Apache-2.0
// The pickle interpreter: what it accepts, and above all what it refuses.
#include "io/pickle.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/paths.h"
#include "support/torch_archive.h"

namespace quamba2 {
namespace {

namespace pkl = testing::pkl;
using testing::error_of;
using testing::little;

std::string refusal(const std::string& pickle) {
  return error_of([&] { read_state_pickle(pickle, "model.bin"); });
}

std::string simple_tensor() { return pkl::tensor(pkl::storage("FloatStorage", "0", 6), 0, {2, 3}, {3, 1}); }

TEST(Pickle, ReadsTensorsAndPassesOverTheRest) {
  const std::string pickle = pkl::program({{"a.weight", simple_tensor()},
                                           {"step", "K\x07"},
                                           {"b", pkl::tensor(pkl::storage("BFloat16Storage", "k", 9), 4, {}, {})},
                                           {"rate", "G" + std::string(8, '\0')},
                                           {"none", "N"}});
  const auto tensors = read_state_pickle(pickle, "model.bin");
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "a.weight");
  EXPECT_EQ(tensors[0].dtype, DType::kF32);
  EXPECT_EQ(tensors[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensors[0].strides, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(tensors[1].storage_key, "k");
  EXPECT_EQ(tensors[1].storage_elements, 9);
  EXPECT_EQ(tensors[1].offset, 4);
  EXPECT_EQ(tensors[1].dtype, DType::kBF16);
}

TEST(Pickle, FindsWrappedStateDictionaries) {
  for (const char* key : {"state_dict", "model_state_dict", "model"}) {
    const std::string inner = "}(" + pkl::text("w") + simple_tensor() + "u";
    const auto tensors = read_state_pickle(pkl::program({{"epoch", "K\x01"}, {key, inner}}), "model.bin");
    ASSERT_EQ(tensors.size(), 1u) << key;
    EXPECT_EQ(tensors[0].name, "w");
  }
  EXPECT_NE(refusal(pkl::program({{"optimizer", "}"}, {"epoch", "K\x01"}})).find("\"optimizer\", \"epoch\""),
            std::string::npos);
}

TEST(Pickle, ReadsParametersOrderedDictionariesAndTheirAttributes) {
  const std::string parameter =
      pkl::global("torch._utils", "_rebuild_parameter") +
      pkl::tuple({simple_tensor(), "\x88", pkl::global("collections", "OrderedDict") + ")R"}) + "R";
  const std::string pickle = "\x80\x02" + pkl::global("collections", "OrderedDict") + ")R(" + pkl::text("p") +
                             parameter + "u}" + pkl::text("_metadata") + "}s" + "b.";
  const auto tensors = read_state_pickle(pickle, "model.bin");
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors[0].name, "p");
}

TEST(Pickle, RefusesEveryOtherNameAndSaysWhich) {
  const std::pair<const char*, const char*> kNames[] = {{"posix", "system"},
                                                        {"os", "system"},
                                                        {"builtins", "eval"},
                                                        {"__builtin__", "exec"},
                                                        {"subprocess", "Popen"},
                                                        {"torch", "load"},
                                                        {"torch._utils", "_rebuild_x"},
                                                        {"runpy", "_run_code"},
                                                        {"collections", "OrderedDict.fromkeys"},
                                                        {"torch.storage", "_load_from_bytes"},
                                                        {"builtins", "getattr"},
                                                        {"evil", "FloatStorage"},
                                                        {"evil", "OrderedDict"},
                                                        {"evil", "_rebuild_tensor_v2"},
                                                        {"torch.serialization", "load"},
                                                        {"numpy.core.multiarray", "_reconstruct"}};
  for (const auto& [module, name] : kNames) {
    const std::string full = std::string(module) + "." + name;
    const std::string classic = refusal("\x80\x02" + pkl::global(module, name) + pkl::tuple({pkl::text("id")}) + "R.");
    EXPECT_NE(classic.find("the file asks to call " + full), std::string::npos) << classic;
    EXPECT_NE(classic.find("nothing was executed"), std::string::npos) << classic;
    const std::string stacked = refusal("\x80\x04" + pkl::text(module) + pkl::text(name) + "\x93.");
    EXPECT_NE(stacked.find("the file asks to call " + full), std::string::npos) << stacked;
  }
  const std::string hidden = refusal("\x80\x02" + pkl::global("po\x1b[31msix", "sys\ntem") + ".");
  EXPECT_NE(hidden.find("po?[31msix.sys"), std::string::npos) << hidden;
  EXPECT_NE(refusal(pkl::program({{"c", pkl::storage("ComplexFloatStorage", "0", 1)}})).find("ComplexFloatStorage"),
            std::string::npos);
}

TEST(Pickle, RefusesOpcodesThatMakeObjects) {
  // INST, OBJ, NEWOBJ, NEWOBJ_EX, EXT1, EXT2, EXT4, REDUCE of something else, PERSID, DUP, POP, GET, INT, STRING.
  for (const char opcode : std::string("io\x81\x92\x82\x83\x84P20gIS\x96\x97\x98")) {
    const std::string message = refusal(std::string("\x80\x02}") + opcode + ".");
    EXPECT_NE(message.find("is not one that checkpoints use"), std::string::npos) << message;
  }
  EXPECT_NE(refusal("\x80\x02" + pkl::text("system") + ")R.").find("it calls a string"), std::string::npos);
  EXPECT_NE(refusal("\x80\x02" + pkl::global("torch", "FloatStorage") + ")R.").find("it calls a storage type"),
            std::string::npos);
}

TEST(Pickle, EveryTruncationIsAnError) {
  const std::string pickle = pkl::program({{"a", simple_tensor()}, {"n", "K\x07"}, {"m", "q\x05h\x05"}});
  for (size_t n = 0; n < pickle.size(); ++n) {
    const std::string message = refusal(pickle.substr(0, n));
    EXPECT_NE(message.find("model.bin"), std::string::npos) << n << ": " << message;
  }
}

TEST(Pickle, EveryFlippedByteIsAnErrorOrTensors) {
  const std::string pickle = pkl::program({{"a", simple_tensor()}});
  for (size_t i = 0; i < pickle.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = pickle;
      changed[i] = static_cast<char>(value);
      EXPECT_EQ(refusal(changed).find("internal"), std::string::npos);
    }
  }
}

TEST(Pickle, StackMisuseIsAnError) {
  const char* kWrong[] = {"\x80\x02.",
                          "\x80\x02N",
                          "\x80\x02t.",
                          "\x80\x02\x85.",
                          "\x80\x02(R.",
                          "\x80\x02}K\x01s.",
                          "\x80\x02NNs.",
                          "\x80\x02](K\x01u.",
                          "\x80\x02}(K\x01u.",
                          "\x80\x02h\x07.",
                          "\x80\x02q\x01.",
                          "\x80\x02NN.",
                          "\x80\x02(N.",
                          "\x80\x02}b.",
                          "\x80\x02K\x01Nb.",
                          "\x80\x02NQ.",
                          "\x80\x02)Q.",
                          "\x80\x01N.",
                          "\x80\x06N.",
                          "\x80\x02N\x93.",
                          "\x80\x02NN\x93.",
                          "\x80\x02\x8a\x09"
                          "123456789.",
                          "\x80\x02}]s.",
                          "N(b."};
  for (const char* wrong : kWrong) EXPECT_NE(refusal(wrong), "") << wrong;
  EXPECT_NE(refusal("\x80\x04\x95" + little(1000, 8) + "N.").find("frame"), std::string::npos);
  EXPECT_NE(refusal("\x80\x02N.").find("it holds None"), std::string::npos);
}

TEST(Pickle, BombsAreBounded) {
  EXPECT_NE(refusal("\x80\x02Nr" + little(0xffffffff, 4) + ".").find("memo entry 4294967295"), std::string::npos);
  EXPECT_NE(refusal("\x80\x02X" + little(0xffffffff, 4) + "abc").find("4294967295 bytes"), std::string::npos);
  EXPECT_NE(refusal("\x80\x04\x8d" + little(~uint64_t{0}, 8) + "abc").find("longer than the 1 MiB"), std::string::npos);
  EXPECT_NE(refusal("\x80\x02" + std::string(2000, '(')).find("nested deeper"), std::string::npos);
  EXPECT_NE(refusal("\x80\x02" + std::string(3'000'000, 'N') + ".").find("more than 2000000 values"),
            std::string::npos);
  EXPECT_NE(refusal("\x80\x02" + std::string((64u << 20) + 1, 'N')).find("more than 64 MiB"), std::string::npos);
  // Tuples in tuples, a million deep; a dictionary that holds itself; a list of lists that doubles thirty times.
  EXPECT_NE(refusal("\x80\x02N" + std::string(1'000'000, '\x85') + ".").find("it holds a tuple"), std::string::npos);
  EXPECT_NE(refusal("\x80\x02}q" + std::string(1, '\0') + pkl::text("model") + "h" + std::string(1, '\0') + "s."), "");
  std::string doubled = "\x80\x02]q" + std::string(1, '\0');
  for (char i = 0; i < 30; ++i) doubled += std::string("](h") + i + "h" + i + "eq" + static_cast<char>(i + 1);
  EXPECT_NE(refusal(doubled + "."), "");
  // One key of a megabyte shared by many tensors must not be copied into each.
  EXPECT_NE(refusal(pkl::program({{"a", pkl::storage("FloatStorage", std::string(1000, 'k'), 1)}})).find("1000 bytes"),
            std::string::npos);
}

// Written by Python's own pickler: tests/oracle/io_corpus.py.
TEST(Pickle, ReadsWhatPythonWritesInBothProtocols) {
  for (const char* protocol : {"2", "4"}) {
    const auto kept = [&](const char* name) {
      return read_file(testing::source_path("tests/fuzz/corpus/pickle/") + name + "_" + protocol);
    };
    const auto plain = read_state_pickle(kept("plain"), "plain");
    ASSERT_EQ(plain.size(), 3u);
    EXPECT_EQ(plain[1].name, "b");
    EXPECT_EQ(plain[1].storage_key, plain[0].storage_key);
    EXPECT_EQ(plain[1].strides, (std::vector<int64_t>{1, 3}));
    EXPECT_EQ(plain[2].offset, 5);
    const DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64,
                            DType::kI64, DType::kI32, DType::kI8,   DType::kU8};
    const auto kinds = read_state_pickle(kept("kinds"), "kinds");
    ASSERT_EQ(kinds.size(), std::size(kTypes));
    for (size_t i = 0; i < kinds.size(); ++i) EXPECT_EQ(kinds[i].dtype, kTypes[i]) << kinds[i].name;
    EXPECT_NE(refusal(kept("evil")).find("the file asks to call posix.system"), std::string::npos);
  }
  // Beside the parameter lie numbers, None, a list and a set; a set needs protocol 4 to be one without a call.
  const auto wrapped =
      read_state_pickle(read_file(testing::source_path("tests/fuzz/corpus/pickle/wrapped_4")), "wrapped");
  ASSERT_EQ(wrapped.size(), 1u);
  EXPECT_EQ(wrapped[0].name, "w");
}

TEST(Pickle, ShapesAreBounded) {
  const std::string storage = pkl::storage("FloatStorage", "0", 1);
  const std::vector<int64_t> many(17, 1);
  EXPECT_NE(refusal(pkl::program({{"a", pkl::tensor(storage, 0, many, many)}})).find("17 dimensions"),
            std::string::npos);
  EXPECT_NE(refusal(pkl::program({{"a", pkl::tensor(storage, 0, {1, 1}, {1})}})).find("2 dimensions and 1 strides"),
            std::string::npos);
  EXPECT_NE(refusal(pkl::program({{"a", pkl::storage("FloatStorage", "0", -1)}})).find("-1 elements"),
            std::string::npos);
}

TEST(Pickle, NamesMustBeUniqueStrings) {
  EXPECT_NE(refusal(pkl::program({{"a", simple_tensor()}, {"a", simple_tensor()}})).find("\"a\" appears twice"),
            std::string::npos);
  EXPECT_NE(refusal("\x80\x02}K\x01" + simple_tensor() + "s.").find("the name of a tensor is an int"),
            std::string::npos);
}

}  // namespace
}  // namespace quamba2
