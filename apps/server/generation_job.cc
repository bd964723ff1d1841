// SPDX-License-Identifier: Apache-2.0
#include "generation_job.h"

#include <fmt/format.h>

#include <ctime>

namespace quamba2::server {
namespace {

const char* metric_reason(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength: return "length";
    case FinishReason::kStop:
    case FinishReason::kEndOfText: return "stop";
    case FinishReason::kCancelled:
    case FinishReason::kDeadline: return "abort";
  }
  return "";
}

ApiError deadline_passed() { return {503, "the request was not done by its deadline", "", "deadline_exceeded"}; }

}  // namespace

OrderedJson usage_json(int64_t prompt, int64_t cached, int64_t generated) {
  OrderedJson out;
  out["prompt_tokens"] = prompt;
  out["completion_tokens"] = generated;
  out["total_tokens"] = prompt + generated;
  out["prompt_tokens_details"]["cached_tokens"] = cached;
  return out;
}

GenerationJob::GenerationJob(Api& api, std::string id, std::shared_ptr<Responder> responder, bool stream)
    : api_(api), id_(std::move(id)), responder_(std::move(responder)), stream_(stream), created_(std::time(nullptr)) {}

OrderedJson GenerationJob::head(const char* object) const {
  OrderedJson out;
  out["id"] = id_;
  out["object"] = object;
  out["created"] = created_;
  out["model"] = api_.model;
  out["system_fingerprint"] = api_.fingerprint;
  return out;
}

void GenerationJob::submit(std::vector<GenerationRequest> requests) {
  left_ = requests.size();
  measured_.resize(left_);
  for (GenerationRequest& r : requests) {
    parameters_.emplace_back(r.sampling.max_tokens, static_cast<int64_t>(left_));
    if (api_.request_time.count() > 0) r.deadline = begin_ + api_.request_time;
  }
  const int capacity = api_.service.capacity();
  if (left_ > static_cast<size_t>(capacity))
    throw ApiError(400, fmt::format("the request asks for {} texts; the server takes {} at a time", left_, capacity));
  // Updates may come before submit returns: they wait until the ids are known.
  std::unique_lock lock(mutex_);
  auto ids = api_.service.submit(std::move(requests), [self = shared_from_this()](size_t i, GenerationUpdate&& update) {
    self->receive(i, std::move(update));
    return true;
  });
  if (!ids) {
    ApiError full(429, "the queue is full; try again soon", "", "queue_full");
    full.retry_after = 1;
    throw full;
  }
  ids_ = std::move(*ids);
  lock.unlock();
  responder_->on_gone([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->cancel_all();
  });
}

// On the service's thread.
void GenerationJob::receive(size_t index, GenerationUpdate&& update) {
  const std::lock_guard lock(mutex_);
  inbox_.emplace_back(index, std::move(update));
  if (std::exchange(posted_, true)) return;
  api_.post([self = shared_from_this()] { self->process(); });
}

void GenerationJob::process() {
  std::vector<std::pair<size_t, GenerationUpdate>> updates;
  {
    const std::lock_guard lock(mutex_);
    updates.swap(inbox_);
    posted_ = false;
  }
  for (auto& [index, update] : updates) {
    measure(index, update);
    if (update.finished) --left_;
    if (over_) continue;
    if (update.error) {
      fail(from_error(*update.error));
    } else if (update.finished && update.finish == FinishReason::kDeadline) {
      fail(deadline_passed());
    } else if (!(update.finished && update.finish == FinishReason::kCancelled)) {
      take(index, update);
      if (left_ == 0) {
        over_ = true;
        finish();
      }
    }
  }
}

void GenerationJob::measure(size_t index, const GenerationUpdate& update) {
  const Clock::time_point now = Clock::now();
  Measured& m = measured_[index];
  const auto since = [now](Clock::time_point then) { return std::chrono::duration<double>(now - then).count(); };
  for (size_t i = 0; i < update.tokens.size(); ++i) {
    if (m.first_token < 0) {
      m.first_token = since(begin_);
    } else {
      api_.metrics.token_interval(since(m.last));
    }
    m.last = now;
  }
  if (!update.finished || std::exchange(m.ended, true)) return;
  const auto [max_tokens, n] = parameters_[index];
  const char* reason = update.error ? "error" : metric_reason(update.finish);
  api_.metrics.finished({reason, update.usage, m.first_token, since(begin_), max_tokens, n});
}

void GenerationJob::write_event(const OrderedJson& json) {
  if (!std::exchange(began_, true)) {
    responder_->begin({200, "", "text/event-stream", {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}});
  }
  responder_->write("data: " + dump(json) + "\n\n");
}

void GenerationJob::fail(const ApiError& error) {
  over_ = true;
  cancel_all();
  if (!began_) return responder_->send(error_response(error));
  responder_->write("data: " + error_body(error) + "\n\n");
  responder_->end();
}

void GenerationJob::cancel_all() {
  std::vector<uint64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    ids = ids_;
  }
  for (const uint64_t id : ids) api_.service.cancel(id);
}

}  // namespace quamba2::server
