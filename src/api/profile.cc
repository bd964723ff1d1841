// SPDX-License-Identifier: Apache-2.0
#include "api/profile.h"

#include <algorithm>
#include <utility>

#include "api/work.h"

namespace quamba2 {

Profile::Profile(Executor* executor) : executor_(executor) {
  executor_->set_watch([this](const Step& step, double seconds) { seconds_[&step] += seconds; });
}

Profile::~Profile() { executor_->set_watch({}); }

void Profile::report(const std::string& test, int64_t calls, int batch, std::vector<KernelTime>* kernels) const {
  const Plan& plan = executor_->plan();
  std::map<std::pair<std::string, std::string>, KernelTime> by_name;
  for (const auto& [step, seconds] : seconds_) {
    const bool chooses = step->node == kNone;
    const std::string op = chooses ? "choose_token" : name_of(plan.graph.nodes[static_cast<size_t>(step->node)].op);
    KernelTime& k = by_name[{op, step->kernel}];
    k.test = test;
    k.op = op;
    k.kernel = step->kernel;
    ++k.steps;
    k.seconds += seconds / static_cast<double>(calls);
    if (batch > 0 && !chooses) k.bytes += step_bytes(plan, *step, batch);
  }
  const auto first = static_cast<std::ptrdiff_t>(kernels->size());
  for (auto& [name, k] : by_name) kernels->push_back(std::move(k));
  std::sort(kernels->begin() + first, kernels->end(),
            [](const KernelTime& a, const KernelTime& b) { return a.seconds > b.seconds; });
}

}  // namespace quamba2
