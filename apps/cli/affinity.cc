// SPDX-License-Identifier: Apache-2.0
#include "affinity.h"

#include <fmt/format.h>
#include <sched.h>

#include "number_list.h"
#include "quamba2/error.h"

namespace quamba2::cli {

void use_processors(const std::string& list) {
  if (list.empty()) return;
  cpu_set_t allowed, wanted;
  CPU_ZERO(&wanted);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) CPU_ZERO(&allowed);
  for (const int64_t cpu : parse_number_list(list, "--cpus")) {
    if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed)) {
      throw Error(ErrorCode::kUsage, "bad value", "--cpus", fmt::format("this process may not use processor {}", cpu),
                  "'taskset -cp $$' shows those that it may");
    }
    CPU_SET(cpu, &wanted);
  }
  if (sched_setaffinity(0, sizeof wanted, &wanted) != 0) {
    throw Error(ErrorCode::kUsage, "bad value", "--cpus", "the system refuses to keep the program on '" + list + "'");
  }
}

}  // namespace quamba2::cli
