// SPDX-License-Identifier: Apache-2.0
// Long work without Python's lock, which signals and callbacks can end.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "quamba2/error.h"

namespace quamba2::python {

namespace nb = nanobind;

// What this thread does for Python now. Progress of the library comes to the innermost one.
class Job {
 public:
  // `progress` is None or is called with (stage, done, total) where that is new, and now and then; False ends the work.
  explicit Job(nb::handle progress);
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  static Job* current();
  // Called without Python's lock. Whether the work shall go on.
  bool report(std::string_view stage, int64_t done, int64_t total) noexcept;
  // Throws the exception of a callback or a signal handler, if there was one.
  void rethrow() const;
  // The same, and Error{kInterrupted} where a callback asked to stop: for work that ends without an error of its own.
  void check() const;

 private:
  nb::handle progress_;
  Job* outer_;
  std::chrono::steady_clock::time_point next_look_;  // for signals
  std::string stage_;                                // that was told last, and how far it was
  int64_t done_ = -1;
  std::exception_ptr error_;
  bool ended_ = false;
};

// Runs `work` without Python's lock. No mutex of ours may be taken with it: who holds one may wait for it.
template <class Work>
auto without_lock(nb::handle progress, Work&& work) {
  Job job(progress);
  try {
    nb::gil_scoped_release released;
    return std::forward<Work>(work)();
  } catch (const Error&) {
    job.rethrow();
    throw;
  }
}

template <class Work>
auto without_lock(Work&& work) {
  return without_lock(nb::handle(), std::forward<Work>(work));
}

}  // namespace quamba2::python
