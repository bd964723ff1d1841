// SPDX-License-Identifier: Apache-2.0
// tokenizer_bench TOKENIZER TEXT_FILE [REPEATS]: speed of encoding and decoding one file, on one core.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "base/file.h"
#include "quamba2/error.h"
#include "text/tokenizer.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: tokenizer_bench TOKENIZER TEXT_FILE [REPEATS]\n";
    return 2;
  }
  try {
    const auto tokenizer = quamba2::Tokenizer::load(argv[1]);
    const std::string text = quamba2::read_file(argv[2]);
    const int repeats = argc > 3 ? std::atoi(argv[3]) : 5;
    using Clock = std::chrono::steady_clock;
    const auto seconds = [](auto f) {
      const auto begin = Clock::now();
      f();
      return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    double encode = 1e9, decode = 1e9;
    std::vector<int32_t> ids;
    std::string back;
    for (int i = 0; i < repeats; ++i) {
      encode = std::min(encode, seconds([&] { ids = tokenizer->encode(text); }));
      decode = std::min(decode, seconds([&] { back = tokenizer->decode(ids); }));
    }
    const double megabytes = static_cast<double>(text.size()) * 1e-6;
    std::cout << text.size() << " bytes, " << ids.size() << " tokens, best of " << repeats << ": encode "
              << megabytes / encode << " MB/s, decode " << megabytes / decode << " MB/s, round trip "
              << (back == text ? "exact" : "differs") << "\n";
  } catch (const quamba2::Error& e) {
    std::cerr << "error: " << e.what() << "\n";
    return static_cast<int>(e.code());
  }
}
