// SPDX-License-Identifier: Apache-2.0
#include "support/cuda_device.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "backends/cuda/cuda_backend.h"
#include "quamba2/error.h"

namespace quamba2::testing {
namespace {

struct Opened {
  std::shared_ptr<Backend> backend;
  std::string why_not;

  Opened() {
    try {
      backend = make_cuda_backend(0);
    } catch (const Error& error) {
      why_not = error.what();
    }
  }
};

Opened& opened() {
  static Opened one;
  return one;
}

// Skips every case where there is no device. (A global environment that skips lets them pass.)
class NeedsDevice : public ::testing::EmptyTestEventListener {
  void OnTestProgramStart(const ::testing::UnitTest&) override {
    if (opened().backend) std::printf("[  device  ] %s\n", opened().backend->description().c_str());
  }
  void OnTestStart(const ::testing::TestInfo&) override {
    if (!opened().backend) GTEST_SKIP() << opened().why_not;
  }
};

[[maybe_unused]] const bool listens = [] {
  ::testing::UnitTest::GetInstance()->listeners().Append(new NeedsDevice);
  return true;
}();

}  // namespace

std::shared_ptr<Backend> cuda_backend() { return opened().backend; }

}  // namespace quamba2::testing
