// SPDX-License-Identifier: Apache-2.0
// Who has its state in the first slot of an engine.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "api/engine_impl.h"

namespace quamba2 {

// One of several that take turns there. The engine must outlive it.
class Tenant {
 public:
  explicit Tenant(Engine::Impl* engine) : engine_(engine) {}
  ~Tenant();
  Tenant(const Tenant&) = delete;
  Tenant& operator=(const Tenant&) = delete;

  // Its state is in slot 0 when this returns, a zero one at first; that of whoever was there is saved.
  Executor& enter();
  // Its state is saved, and slot 0 nobody's.
  void leave();
  // Its state is this from now on; nothing: a zero one.
  void set_state(std::optional<std::vector<std::byte>> state);

 private:
  Engine::Impl* engine_;
  std::optional<std::vector<std::byte>> saved_;  // while it is not there
};

}  // namespace quamba2
