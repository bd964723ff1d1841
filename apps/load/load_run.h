// SPDX-License-Identifier: Apache-2.0
// Sends a workload to a server of the OpenAI API and notes when everything came. One thread, a coroutine for each request
// that is under way.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "endpoint.h"
#include "workload.h"

namespace quamba2::load {

struct LoadOptions {
  Endpoint server;
  int concurrency = 16;         // requests at a time, where they carry no times of their own
  bool timed = false;           // each goes out at its time, whatever is under way
  double patience = 300;        // seconds without a byte from the server until a request has failed
  size_t memory_every = 0;      // ended requests between two looks at the server's memory; 0: none
  double health_period = 0.02;  // seconds between two questions for /health, with one connection of their own
  // Sent at their times while the others grow, and measured apart; those that are under way when the last of the others ends
  // are dropped.
  std::vector<PlannedRequest> beside = {};
};

// Times are seconds from the begin of the run.
struct RequestResult {
  double sent = -1, end = -1;                   // sent: before it connects; -1: it never was
  std::vector<double> texts;                    // when each event with text came
  int64_t input_tokens = 0, output_tokens = 0;  // as the server counted
  std::string error = {};                       // empty: it went well
};

struct LoadResult {
  std::vector<RequestResult> requests;  // as planned
  std::vector<RequestResult> beside;    // of LoadOptions::beside
  double seconds = 0;                   // from the first one's sending to the last one's end
  std::vector<double> health;           // seconds that answers to /health took; empty where the server has none
  int health_failures = 0;
  std::vector<std::pair<size_t, double>> memory;  // ended requests, resident bytes of the server as /metrics says
};

// Returns early where `stop_asked` holds, which is asked now and then; `on_done` hears the number of requests that ended.
LoadResult run_load(const LoadOptions& options, const std::vector<PlannedRequest>& requests,
                    const std::function<bool()>& stop_asked, const std::function<void(size_t done)>& on_done);

struct ServerFacts {
  std::string model;       // the first one that /v1/models lists
  int64_t vocab_size = 0;  // of /tokenizer_info; 0: the server does not say
};
// Throws Error{kRuntime} for a server that is not there or refuses.
ServerFacts ask_server(const Endpoint& server);

}  // namespace quamba2::load
