// SPDX-License-Identifier: Apache-2.0
// One HTTP request's generations: submits them, gathers their updates on the network thread, measures, and cancels them
// when the client leaves. What the answer looks like is its subclass' matter.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "api.h"

namespace quamba2::server {

class GenerationJob : public std::enable_shared_from_this<GenerationJob> {
 public:
  virtual ~GenerationJob() = default;

 protected:
  GenerationJob(Api& api, std::string id, std::shared_ptr<Responder> responder, bool stream);

  const Tokenizer& tokenizer() const { return api_.service.engine().tokenizer(); }
  // {"id", "object", "created", "model", "system_fingerprint"}: what every answer and chunk begins with.
  OrderedJson head(const char* object) const;

  // Throws ApiError 429 where the queue is full, 400 where it can never hold them; Error{kUsage}.
  void submit(std::vector<GenerationRequest> requests);

  // All on the network thread. An update of one generation; `take` is called before `finish`.
  virtual void take(size_t index, GenerationUpdate& update) = 0;
  // Every generation has ended well.
  virtual void finish() = 0;

  void write_event(const OrderedJson& json);  // of a stream; the first one begins it

  Api& api_;
  const std::string id_;
  const std::shared_ptr<Responder> responder_;
  const bool stream_;
  const int64_t created_;

 private:
  using Clock = std::chrono::steady_clock;
  struct Measured {
    Clock::time_point last;
    double first_token = -1;
    bool ended = false;
  };
  void receive(size_t index, GenerationUpdate&& update);
  void process();
  void measure(size_t index, const GenerationUpdate& update);
  void fail(const ApiError& error);
  void cancel_all();

  const Clock::time_point begin_ = Clock::now();
  std::vector<uint64_t> ids_;
  std::vector<Measured> measured_;
  std::vector<std::pair<int64_t, int64_t>> parameters_;  // max_tokens and n of each
  size_t left_ = 0;
  bool began_ = false, over_ = false;
  std::mutex mutex_;  // of ids_ and the next two
  std::vector<std::pair<size_t, GenerationUpdate>> inbox_;
  bool posted_ = false;
};

// {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details": {"cached_tokens"}}
OrderedJson usage_json(int64_t prompt, int64_t cached, int64_t generated);

}  // namespace quamba2::server
