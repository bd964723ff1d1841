// SPDX-License-Identifier: Apache-2.0
// The requests of a load: what each asks, and when it goes out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quamba2::load {

// Lengths are drawn evenly from least to most, both included.
struct LengthRange {
  int64_t least = 1, most = 1;
};
// "128" or "64-256". Throws Error{kUsage} that names `option` for less than 1 or more than 10^6.
LengthRange parse_length_range(const std::string& text, const std::string& option);

struct WorkloadOptions {
  int64_t requests = 128;
  LengthRange input = {128, 128}, output = {128, 128};  // tokens
  std::vector<std::string> prompts = {};                // instead of random token ids: taken in turn, whole
  int64_t vocab_size = 0;                               // random ids are below it
  double temperature = 0;
  double rate = 0;  // requests a second, with exponential gaps; 0: each goes when one before it is done
  uint64_t seed = 0;
  std::string model = {};
};

struct PlannedRequest {
  std::string body;    // of POST /v1/completions: a stream that ignores the model's own end
  double at = 0;       // seconds from the begin; with a rate only
  int64_t output = 0;  // tokens asked for
};

// The same options and seed give the same requests.
std::vector<PlannedRequest> make_workload(const WorkloadOptions& options);

// Lines of a file that are not blank. Throws Error{kUsage} where there is none, naming `option`.
std::vector<std::string> prompts_of_lines(const std::string& text, const std::string& option);

}  // namespace quamba2::load
