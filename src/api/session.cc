// SPDX-License-Identifier: Apache-2.0
#include "quamba2/session.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "api/tenant.h"
#include "quamba2/error.h"
#include "runtime/generator.h"

namespace quamba2 {

struct Session::Impl {
  explicit Impl(Engine::Impl* from) : engine(from), tenant(from) {}

  // Calls `piece(executor, first, length)` after each call of the model.
  template <class Piece>
  void read(std::span<const int32_t> ids, const Piece& piece) {
    if (ids.empty()) return;
    Executor& executor = tenant.enter();
    read_tokens(&executor, 0, ids, [&](size_t at, size_t length) {
      logits.clear();
      tokens += static_cast<int64_t>(length);
      piece(executor, at, length);
    });
  }

  void keep_last(Executor& executor, size_t length) {
    const auto row = static_cast<int32_t>(length) - 1;
    const float* last = executor.logits({&row, 1});
    logits.assign(last, last + executor.table_rows());
  }

  Engine::Impl* engine;
  Tenant tenant;
  std::vector<float> logits;
  int64_t tokens = 0;
};

Session::Session(Engine& engine) : impl_(std::make_unique<Impl>(&engine.impl())) {}
Session::~Session() = default;

void Session::read(std::span<const int32_t> ids) {
  impl_->read(ids, [&](Executor& executor, size_t at, size_t length) {
    if (at + length == ids.size()) impl_->keep_last(executor, length);
  });
}

std::vector<float> Session::read_every(std::span<const int32_t> ids) {
  const auto columns = static_cast<size_t>(impl_->engine->executor->table_rows());
  std::vector<float> out(ids.size() * columns);
  impl_->read(ids, [&](Executor& executor, size_t at, size_t length) {
    const auto most = static_cast<size_t>(executor.limits().max_selected);
    for (size_t first = 0; first < length; first += most) {
      std::vector<int32_t> rows(std::min(most, length - first));
      std::iota(rows.begin(), rows.end(), static_cast<int32_t>(first));
      const float* logits = executor.logits(rows);
      std::copy_n(logits, rows.size() * columns, out.data() + (at + first) * columns);
    }
    if (at + length == ids.size()) impl_->logits.assign(out.end() - static_cast<ptrdiff_t>(columns), out.end());
  });
  return out;
}

const std::vector<float>& Session::logits() const {
  if (!impl_->logits.empty()) return impl_->logits;
  throw Error(ErrorCode::kUsage, "no logits", "session", "no token was read yet", "read at least one token");
}

int64_t Session::tokens() const { return impl_->tokens; }

void Session::reset() {
  impl_->tenant.set_state(std::nullopt);
  impl_->logits.clear();
  impl_->tokens = 0;
}

SessionState Session::save() { return {impl_->tenant.enter().save_state(0), impl_->logits, impl_->tokens}; }

void Session::load(const SessionState& state) {
  const Executor& executor = *impl_->engine->executor;
  const auto columns = static_cast<size_t>(executor.table_rows());
  if (state.state.size() != executor.state_bytes() || (!state.logits.empty() && state.logits.size() != columns) ||
      state.tokens < 0) {
    throw Error(ErrorCode::kUsage, "state does not fit", "session",
                "it has " + std::to_string(state.state.size()) + " bytes and " + std::to_string(state.logits.size()) +
                    " logits, this model's has " + std::to_string(executor.state_bytes()) + " and " +
                    std::to_string(columns),
                "load a state that was saved by the same model in the same recipe");
  }
  impl_->tenant.set_state(state.state);
  impl_->logits = state.logits;
  impl_->tokens = state.tokens;
}

}  // namespace quamba2
