// SPDX-License-Identifier: Apache-2.0
// An engine that several Python objects use, from any thread, one at a time.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "quamba2/quamba2.h"
#include "work.h"

namespace quamba2::python {

// What is known of a model apart from its engine.
struct ModelFacts {
  std::string name, family, recipe, config;
  int64_t layers = 0, d_model = 0, vocab_size = 0, parameters = 0;
  uint64_t weight_bytes = 0;
};

class SharedEngine {
 public:
  static std::shared_ptr<SharedEngine> load(const std::string& path, const EngineOptions& options);

  // Calls `work` with the engine, without Python's lock, when nobody else uses it.
  template <class Work>
  auto use(nb::handle progress, Work&& work) {
    return without_lock(progress, [&] {
      const std::lock_guard turn(busy_);
      drop_retired();
      return work(engine_);
    });
  }
  template <class Work>
  auto use(Work&& work) {
    return use(nb::handle(), std::forward<Work>(work));
  }

  // Ends a session when the engine is used next: Python may drop one while another thread works.
  void retire(std::shared_ptr<void> session);

  const Engine& engine() const { return engine_; }  // for what never changes
  const ModelFacts& facts() const { return facts_; }

  SharedEngine(ModelFacts facts, Engine engine) : facts_(std::move(facts)), engine_(std::move(engine)) {}

 private:
  void drop_retired();

  ModelFacts facts_;
  Engine engine_;
  std::mutex busy_;
  std::mutex retiring_;                         // never held for long, with Python's lock or without
  std::vector<std::shared_ptr<void>> retired_;  // behind the engine: destroyed before it
};

// The engine as a Python object holds it.
struct EngineHandle {
  std::shared_ptr<SharedEngine> shared;
};

// Something that lives in an engine, as a Python object holds it.
template <class T>
class Resident {
 public:
  Resident(std::shared_ptr<SharedEngine> engine, std::shared_ptr<T> held)
      : engine_(std::move(engine)), held_(std::move(held)) {}
  ~Resident() {
    if (engine_) engine_->retire(std::move(held_));
  }
  Resident(Resident&&) noexcept = default;
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;

  // Calls `work` with what is held, as SharedEngine::use does.
  template <class Work>
  auto use(Work&& work) {
    return engine_->use([&](Engine&) { return work(*held_); });
  }
  const SharedEngine& engine() const { return *engine_; }

 private:
  std::shared_ptr<SharedEngine> engine_;
  std::shared_ptr<T> held_;
};

}  // namespace quamba2::python
