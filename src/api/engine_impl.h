// SPDX-License-Identifier: Apache-2.0
// What is behind Engine.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/executor.h"
#include "graph/model.h"
#include "quamba2/engine.h"
#include "runtime/growing_text.h"

namespace quamba2 {

class Tenant;

struct Engine::Impl {
  GeneratorModel generator_model() const { return {executor.get(), tokenizer, vocab_size, eos}; }
  // For what uses slots by their numbers: the state of a session that is in slot 0 is saved first.
  Executor& take_over();

  std::string name, family, recipe, fingerprint;
  int64_t vocab_size = 0;  // ids that may be sampled
  std::shared_ptr<const Backend> backend;
  std::unique_ptr<Executor> executor;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<int32_t> eos;
  std::string directory;
  std::string tokenizer_path;                     // directory or file; empty: none was named
  std::map<int, std::vector<float>> last_logits;  // after the last token that `feed` read, by slot
  Tenant* tenant = nullptr;                       // whose state is in slot 0, where it is a session's
};

// Of TaskOptions: 0 or at most what one call of the engine reads. Throws Error{kUsage}.
void check_chunk(Engine& engine, int64_t chunk);

// "cpu", "cuda:N" or "reference". Throws Error{kUsage} for others, Error{kResource} for a GPU that cannot be used.
std::shared_ptr<const Backend> make_backend(const std::string& device, int threads);

}  // namespace quamba2
