// SPDX-License-Identifier: Apache-2.0
// Many requests at a time on one model: they join and leave while others grow (continuous batching).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quamba2/engine.h"
#include "quamba2/request.h"

namespace quamba2 {

struct ServiceOptions {
  std::string device = "cpu";
  int threads = 0;             // 0: all that this process may use
  std::string tokenizer = {};  // directory or file; empty: the model's own
  int slots = 16;              // texts that grow at a time, each with a state of its own
  int chunk = 256;             // tokens of a prompt read between two tokens of growing texts; prompts are cut there
  int max_waiting = 1024;      // requests beyond those in slots
  // For states of prompts that were read, kept where pieces end; a prompt that begins like an earlier one is read from
  // there on, and gives the same bits. Requests with `cache_end` also keep the states behind their prompt and their
  // text, and go on from such ones: a conversation's next turn reads what is new, but its states were rounded elsewhere than
  // by reading afresh. 0: nothing is kept.
  uint64_t cache_bytes = uint64_t{256} << 20;
  StepSink on_step = {};  // called by the worker after each call of the model
};

class Service {
 public:
  // Throws as Engine::load.
  static std::unique_ptr<Service> load(const std::string& path_or_name, const ServiceOptions& options = {});
  // What `load` makes its engine of: one that `options` fit.
  static EngineOptions engine_options(const ServiceOptions& options);
  // `engine` must have at least one slot, and room for a chunk and all its slots in one call: Error{kUsage} otherwise.
  Service(Engine engine, const ServiceOptions& options);
  ~Service();  // requests that are not finished end with Error{kInterrupted}
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Its constant functions may be called from any thread; the states are the service's own.
  const Engine& engine() const;

  // Called by the worker with the number of the request among those submitted together. Must be quick and not throw;
  // returning false cancels that request.
  using Sink = std::function<bool(size_t request, GenerationUpdate&& update)>;
  // From any thread. Takes all requests or none: nothing comes back where they do not fit in the queue now. Requests that
  // are submitted together share a turn in it. Throws Error{kUsage} for a request that makes no sense.
  std::optional<std::vector<uint64_t>> submit(std::vector<GenerationRequest> requests, Sink sink);
  // From any thread. Puts the state of a paused text among the kept ones, for requests that are submitted from now on and begin
  // like it; false where `cache_bytes` has no room for it. `exact`: it was read in pieces of this service's chunk, so that
  // it is what reading afresh gives. Throws Error{kUsage} for a paused text of another model, or one without a state.
  bool keep(const PausedText& paused, bool exact);
  // From any thread; the sink hears of the end. Requests that have ended are no error.
  void cancel(uint64_t request);

  struct Status {
    int running = 0, waiting = 0;
    uint64_t cache_bytes = 0;  // of kept states
  };
  Status status() const;
  int capacity() const;  // requests in slots and queue together
  int chunk() const;

 private:
  struct Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace quamba2
