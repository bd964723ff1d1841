// SPDX-License-Identifier: Apache-2.0
#include "completion_request.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <random>

namespace quamba2::server {
namespace {

constexpr int64_t kMaxLogprobs = 5;  // of completions, as OpenAI has it
constexpr int64_t kMaxPromptLogprobs = 20;
constexpr size_t kMaxStops = 16, kMaxStopBytes = 1024, kMaxBiases = 1024;
constexpr double kHuge = std::numeric_limits<double>::max();

uint64_t random_seed() {
  static thread_local std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

std::vector<Prompt> parse_prompts(JsonFields* fields, const RequestLimits& limits) {
  const Json* value = fields->find("prompt");
  if (!value) throw ApiError(400, "'prompt' is missing", "prompt");
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array() || value->empty())
    bad_field("prompt", "it must be a string, an array of strings, an array of token ids, or an array of those");
  if (value->front().is_number()) return {parse_ids(*value, "prompt")};
  if (value->size() > static_cast<size_t>(limits.max_prompts))
    bad_field("prompt", fmt::format("at most {} prompts are possible in one request", limits.max_prompts));
  std::vector<Prompt> out;
  for (const Json& item : *value) {
    if (item.is_string()) {
      out.emplace_back(item.get<std::string>());
    } else {
      out.emplace_back(parse_ids(item, "prompt"));
    }
  }
  return out;
}

// {"50256": -100}
std::vector<TokenBias> parse_bias(const Json& value) {
  if (!value.is_object()) bad_field("logit_bias", "it must be an object of token ids and numbers");
  if (value.size() > kMaxBiases) bad_field("logit_bias", fmt::format("at most {} are possible", kMaxBiases));
  std::vector<TokenBias> out;
  for (const auto& [name, bias] : value.items()) {
    int32_t id = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (error != std::errc() || end != name.data() + name.size() || id < 0)
      bad_field("logit_bias", "its names are token ids");
    if (!bias.is_number() || !(std::abs(bias.get<double>()) <= 100))
      bad_field("logit_bias", "its values are numbers from -100 to 100");
    out.push_back({id, bias.get<double>()});
  }
  return out;
}

void parse_choices(JsonFields* fields, const RequestLimits& limits, CompletionRequest* out) {
  out->n = fields->integer("n", 1, 1, limits.max_choices);
  out->best_of = fields->integer("best_of", out->n, 1, limits.max_choices);
  if (out->best_of < out->n) bad_field("best_of", "it must be at least n");
  if (out->best_of > out->n && out->stream)
    bad_field("best_of", "the best is known at the end only: not with 'stream'");
  if (static_cast<int64_t>(out->prompts.size()) * out->best_of > limits.max_prompts)
    bad_field("n", fmt::format("prompts times n are more than {}", limits.max_prompts));
}

}  // namespace

SamplingOptions parse_sampling(JsonFields* fields, const RequestLimits& limits) {
  SamplingOptions o;
  o.temperature = fields->number("temperature", 1, 0, 100);
  o.top_p = fields->number("top_p", 1, 0, 1);
  if (o.top_p == 0) bad_field("top_p", "it must be more than 0");
  const int64_t top_k = fields->integer("top_k", 0, -1, std::numeric_limits<int32_t>::max());
  o.top_k = std::max<int64_t>(top_k, 0);  // -1 is vLLM's "off"
  o.min_p = fields->number("min_p", 0, 0, 1);
  o.repetition_penalty = fields->number("repetition_penalty", 1, 0, kHuge);
  if (o.repetition_penalty == 0) bad_field("repetition_penalty", "it must be more than 0");
  o.presence_penalty = fields->number("presence_penalty", 0, -2, 2);
  o.frequency_penalty = fields->number("frequency_penalty", 0, -2, 2);
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min(), kHighest = std::numeric_limits<int64_t>::max();
  o.seed = fields->has("seed") ? static_cast<uint64_t>(fields->integer("seed", 0, kLowest, kHighest)) : random_seed();
  o.stop = fields->texts("stop", kMaxStops);
  for (const std::string& stop : o.stop) {
    if (stop.empty() || stop.size() > kMaxStopBytes)
      bad_field("stop", fmt::format("each has 1 to {} bytes", kMaxStopBytes));
  }
  o.stop_token_ids = fields->ids("stop_token_ids");
  if (o.stop_token_ids.size() > kMaxBiases)
    bad_field("stop_token_ids", fmt::format("at most {} are possible", kMaxBiases));
  if (const Json* bias = fields->find("logit_bias")) o.logit_bias = parse_bias(*bias);
  o.min_tokens = fields->integer("min_tokens", 0, 0, limits.max_length);
  o.ignore_eos = fields->boolean("ignore_eos", false);
  o.skip_special_tokens = fields->boolean("skip_special_tokens", true);
  fields->text("user");
  return o;
}

bool parse_include_usage(JsonFields* fields, bool stream) {
  const Json* options = fields->find("stream_options");
  if (!options) return false;
  if (!stream) bad_field("stream_options", "it is possible with 'stream' only");
  if (!options->is_object()) bad_field("stream_options", "it must be an object");
  const auto at = options->find("include_usage");
  if (at == options->end() || at->is_null()) return false;
  if (!at->is_boolean()) bad_field("stream_options", "include_usage must be true or false");
  return at->get<bool>();
}

void check_unknown(const JsonFields& fields, const RequestLimits& limits) {
  for (const std::string& name : fields.unknown()) {
    if (limits.strict) bad_field(name, "it is not known here");
    if (limits.log) limits.log("unknown member ignored: " + dump(OrderedJson(name.substr(0, 100))));
  }
}

CompletionRequest parse_completion(std::string_view body, const RequestLimits& limits) {
  JsonFields fields(body);
  CompletionRequest out;
  out.model = fields.text("model");
  out.prompts = parse_prompts(&fields, limits);
  out.sampling = parse_sampling(&fields, limits);
  out.sampling.max_tokens = fields.integer("max_tokens", 16, 0, limits.max_length);
  out.stream = fields.boolean("stream", false);
  out.include_usage = parse_include_usage(&fields, out.stream);
  out.echo = fields.boolean("echo", false);
  out.logprobs = static_cast<int32_t>(fields.integer("logprobs", -1, 0, kMaxLogprobs));
  out.prompt_logprobs = static_cast<int32_t>(fields.integer("prompt_logprobs", -1, 0, kMaxPromptLogprobs));
  out.add_special_tokens = fields.boolean("add_special_tokens", true);
  out.return_token_ids = fields.boolean("return_token_ids", false);
  if (!fields.text("suffix").empty()) bad_field("suffix", "text cannot be inserted by these models");
  parse_choices(&fields, limits, &out);
  check_unknown(fields, limits);
  return out;
}

}  // namespace quamba2::server
