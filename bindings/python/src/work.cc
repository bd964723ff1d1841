// SPDX-License-Identifier: Apache-2.0
#include "work.h"

#include <nanobind/stl/string_view.h>

#include "bindings.h"
#include "quamba2/log.h"

namespace quamba2::python {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{50};  // a look takes Python's lock

thread_local Job* current_job = nullptr;

// Python's logging levels.
int level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return 10;
    case LogLevel::kInfo: return 20;
    default: return 30;
  }
}

void log_to_python(LogLevel level, std::string_view message) {
  if (!Py_IsInitialized()) return;
  nb::gil_scoped_acquire lock;
  try {
    // A "%" in the message is none of logging's: it comes as an argument.
    nb::module_::import_("logging").attr("getLogger")("quamba2").attr("log")(level_of(level), "%s", message);
  } catch (nb::python_error& e) {
    e.discard_as_unraisable("quamba2's log");
  }
}

}  // namespace

Job::Job(nb::handle progress)
    : progress_(progress), outer_(current_job), next_look_(std::chrono::steady_clock::now() + kBetweenLooks) {
  if (progress_.is_valid() && progress_.is_none()) progress_ = nb::handle();
  current_job = this;
}

Job::~Job() { current_job = outer_; }

Job* Job::current() { return current_job; }

bool Job::report(std::string_view stage, int64_t done, int64_t total) noexcept {
  if (ended_) return false;
  const auto now = std::chrono::steady_clock::now();
  const bool news = progress_.is_valid() && (done != done_ || done >= total || stage != stage_);
  if (!news && now < next_look_) return true;
  next_look_ = now + kBetweenLooks;
  nb::gil_scoped_acquire lock;
  try {
    stage_ = stage;
    done_ = done;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (progress_.is_valid()) ended_ = progress_(stage, done, total).is(nb::bool_(false));
  } catch (...) {
    error_ = std::current_exception();
    ended_ = true;
  }
  return !ended_;
}

void Job::rethrow() const {
  if (error_) std::rethrow_exception(error_);
}

void Job::check() const {
  rethrow();
  if (ended_) throw Error(ErrorCode::kInterrupted, "interrupted", "", "stopped on request");
}

void bind_work(nb::module_& m) {
  set_progress_sink([](std::string_view stage, int64_t done, int64_t total) {
    Job* job = Job::current();
    return job == nullptr || job->report(stage, done, total);
  });
  set_log_sink(log_to_python);
  // Python's lock cannot be taken once the interpreter is on its way out.
  nb::module_::import_("atexit").attr("register")(nb::cpp_function([] { set_log_sink({}); }));
  (void)m;
}

}  // namespace quamba2::python
