// SPDX-License-Identifier: Apache-2.0
// Texts that are read and continued step by step. Any number of them take turns in one engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "quamba2/engine.h"
#include "quamba2/request.h"

namespace quamba2 {

// What a session knows of what it has read.
struct SessionState {
  std::vector<std::byte> state;  // Engine::state_bytes()
  std::vector<float> logits;     // behind the last token; empty where none was read
  int64_t tokens = 0;
};

// Sessions keep their states in the engine's first slot by turns: whose turn it is not has its state in host memory. The
// engine must outlive them, and is used by one thread at a time.
class Session {
 public:
  explicit Session(Engine& engine);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Reads tokens behind those that were read before. An error in the middle (Error{kInterrupted}) leaves what was read
  // until then: tokens() says how many. Throws Error{kUsage} for ids that the model does not know.
  void read(std::span<const int32_t> ids);
  // The same, with the logits behind each of them: [ids.size(), Engine::table_rows()].
  std::vector<float> read_every(std::span<const int32_t> ids);
  // Logits behind the last token: [Engine::table_rows()]. Throws Error{kUsage} where none was read.
  const std::vector<float>& logits() const;
  int64_t tokens() const;
  void reset();

  // What is read after `load` gives what it would have given after `save`, bit for bit, in any session of this model on
  // the same device and recipe. Throws Error{kUsage} where sizes are not this model's.
  SessionState save();
  void load(const SessionState& state);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One text that grows as it is asked for, with the tokens that Engine::generate gives. It takes turns with sessions.
class Generation {
 public:
  // Throws Error{kUsage} for a request that makes no sense.
  Generation(Engine& engine, GenerationRequest request);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // What is new, as soon as a token has come; nothing once the text has ended. Throws the error that ended it.
  std::optional<GenerationUpdate> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace quamba2
