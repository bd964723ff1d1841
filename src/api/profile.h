// SPDX-License-Identifier: Apache-2.0
// Where the time of a run goes, kernel by kernel.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "backend/executor.h"
#include "quamba2/evaluate.h"

namespace quamba2 {

// Times all steps of the executor while it lives.
class Profile {
 public:
  explicit Profile(Executor* executor);
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;
  ~Profile();

  // Appends the kernels of `test`, the longest first, with seconds of one of `calls` calls and, where batch > 0, the bytes
  // that decoding a token of each of `batch` sequences moves.
  void report(const std::string& test, int64_t calls, int batch, std::vector<KernelTime>* kernels) const;

 private:
  Executor* executor_;
  std::map<const Step*, double> seconds_;
};

}  // namespace quamba2
