// SPDX-License-Identifier: Apache-2.0
#include "workload.h"

#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "quamba2/error.h"

namespace quamba2::load {
namespace {

constexpr size_t kMostDigits = 6;

// The standard's distributions differ between libraries; these do not.
int64_t draw(std::mt19937_64* random, int64_t least, int64_t most) {
  return least + static_cast<int64_t>((*random)() % static_cast<uint64_t>(most - least + 1));
}

double draw_gap(std::mt19937_64* random, double rate) {
  const double even = (static_cast<double>((*random)() >> 11) + 0.5) * 0x1p-53;  // in (0, 1)
  return -std::log(even) / rate;
}

}  // namespace

LengthRange parse_length_range(const std::string& text, const std::string& option) {
  const auto number = [&](const std::string& part) -> int64_t {
    const bool good = !part.empty() && part.size() <= kMostDigits &&
                      part.find_first_not_of("0123456789") == std::string::npos && std::stoll(part) > 0;
    if (good) return std::stoll(part);
    throw Error(ErrorCode::kUsage, "bad value", option, "'" + text + "' is no length in tokens, nor a range of them",
                "give a length as 128 or a range as 64-256");
  };
  const size_t dash = text.find('-');
  LengthRange out;
  out.least = number(text.substr(0, dash));
  out.most = dash == std::string::npos ? out.least : number(text.substr(dash + 1));
  if (out.most < out.least) number("");
  return out;
}

std::vector<PlannedRequest> make_workload(const WorkloadOptions& o) {
  std::mt19937_64 random(o.seed);
  std::vector<PlannedRequest> out;
  double at = 0;
  for (int64_t i = 0; i < o.requests; ++i) {
    nlohmann::ordered_json body;
    body["model"] = o.model;
    if (o.prompts.empty()) {
      std::vector<int64_t> ids(static_cast<size_t>(draw(&random, o.input.least, o.input.most)));
      for (int64_t& id : ids) id = draw(&random, 0, o.vocab_size - 1);
      body["prompt"] = ids;
    } else {
      body["prompt"] = o.prompts[static_cast<size_t>(i) % o.prompts.size()];
    }
    const int64_t output = draw(&random, o.output.least, o.output.most);
    body["max_tokens"] = output;
    body["temperature"] = o.temperature;
    body["seed"] = i;
    body["ignore_eos"] = true;
    body["stream"] = true;
    body["stream_options"]["include_usage"] = true;
    if (o.rate > 0) at += draw_gap(&random, o.rate);
    out.push_back({body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), at, output});
  }
  return out;
}

std::vector<std::string> prompts_of_lines(const std::string& text, const std::string& option) {
  std::vector<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) out.push_back(line);
  }
  if (out.empty())
    throw Error(ErrorCode::kUsage, "no prompts", option, "the file has no line with text", "give one prompt a line");
  return out;
}

}  // namespace quamba2::load
