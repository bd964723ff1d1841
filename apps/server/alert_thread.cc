// SPDX-License-Identifier: Apache-2.0
#include "alert_thread.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace quamba2::server {
namespace {

constexpr uint64_t kSlice = 200'000;  // ns; the system's own is 3 ms or so
constexpr uint64_t kResetOnFork = 1;

// As the system has it (sched_setattr(2)); the C library has no name for it.
struct SchedulingAttributes {
  uint32_t size = sizeof(SchedulingAttributes);
  uint32_t policy = SCHED_OTHER;
  uint64_t flags = kResetOnFork;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = kSlice;  // of SCHED_OTHER: the slice
  uint64_t deadline = 0, period = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

}  // namespace

void run_in_short_slices() {
  SchedulingAttributes wanted;
  errno = 0;
  wanted.nice = getpriority(PRIO_PROCESS, 0);
  if (errno != 0 || sched_getscheduler(0) != SCHED_OTHER) return;  // somebody has chosen for us
  syscall(SYS_sched_setattr, 0, &wanted, 0);
}

}  // namespace quamba2::server
