// SPDX-License-Identifier: Apache-2.0
#include "quamba2/engine.h"

#include <algorithm>

#include "api/engine_impl.h"
#include "api/fingerprint.h"
#include "api/load_model.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "quamba2/error.h"
#include "runtime/generator.h"

namespace quamba2 {
namespace {

void add_ids(const Json* value, std::vector<int32_t>* out) {
  if (!value) return;
  const auto add = [&](const Json& id) { out->push_back(static_cast<int32_t>(id.as_int("eos_token_id"))); };
  if (value->is_array()) {
    for (const Json& id : value->as_array("eos_token_id")) add(id);
  } else {
    add(*value);
  }
}

// What ends a text: generation_config.json has the last word, then config.json, then the tokenizer.
std::vector<int32_t> find_eos(const ModelData& model, const Tokenizer* tokenizer) {
  std::vector<int32_t> out;
  if (model.directory.empty()) return out;  // made in memory
  const std::string path = join_path(model.directory, "generation_config.json");
  if (path_exists(path)) add_ids(Json::parse(read_file(path, 1 << 20), path).find("eos_token_id"), &out);
  if (out.empty()) add_ids(model.config.find("eos_token_id"), &out);
  if (out.empty() && tokenizer && tokenizer->eos_id()) out.push_back(*tokenizer->eos_id());
  return out;
}

bool has_tokenizer(const std::string& directory) {
  if (directory.empty()) return false;
  return path_exists(join_path(directory, "tokenizer.json")) || path_exists(join_path(directory, "tokenizer.model"));
}

void check_vocabulary(const Tokenizer& tokenizer, int64_t rows, const std::string& name) {
  if (tokenizer.vocab_size() <= rows) return;
  throw Error(
      ErrorCode::kModelFile, "tokenizer does not fit the model", name,
      "it has " + std::to_string(tokenizer.vocab_size()) + " ids, the embedding has " + std::to_string(rows) + " rows",
      "use the tokenizer that the model was trained with");
}

}  // namespace

Engine Engine::load(const std::string& path_or_name, const EngineOptions& options) {
  return Engine(Model::from_pretrained(path_or_name), options);
}

Engine::Engine(const Model& source, const EngineOptions& options) : impl_(std::make_unique<Impl>()) {
  const ModelData& model = source.data();
  impl_->name = model.name;
  impl_->family = model.family;
  impl_->recipe = model.recipe;
  impl_->fingerprint = fingerprint_of(model);
  impl_->vocab_size = model.vocab_size;
  impl_->directory = model.directory;
  impl_->tokenizer_path = options.tokenizer;
  impl_->backend = make_backend(options.device, options.threads);
  const std::string path = options.tokenizer.empty() ? model.directory : options.tokenizer;
  if (!options.tokenizer.empty() || has_tokenizer(model.directory)) impl_->tokenizer = Tokenizer::load(path);
  impl_->eos = find_eos(model, impl_->tokenizer.get());
  if (impl_->tokenizer) {
    const int64_t rows = model.graph.edges[static_cast<size_t>(model.graph.logits)].columns;
    check_vocabulary(*impl_->tokenizer, rows, path);
    impl_->vocab_size = std::min(impl_->vocab_size, impl_->tokenizer->vocab_size());
  }
  if (options.max_tokens < 0 || options.max_sequences < 1 || options.state_every < 0) {
    throw Error(ErrorCode::kUsage, "engine options out of range", "",
                "max_sequences is at least 1, max_tokens and state_every at least 0");
  }
  PlanLimits limits;
  const int tokens = options.max_tokens > 0 ? options.max_tokens : impl_->backend->usual_tokens();
  limits.max_tokens = std::max(tokens, options.max_sequences);
  // A device chooses tokens of all sequences at once.
  limits.max_selected =
      std::min(impl_->backend->device() ? std::max(64, options.max_sequences) : 64, limits.max_tokens);
  limits.max_sequences = options.max_sequences;
  limits.state_every = options.state_every;
  impl_->executor = std::make_unique<Executor>(model.graph, impl_->backend, limits);
}

Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

const Tokenizer& Engine::tokenizer() const {
  if (impl_->tokenizer) return *impl_->tokenizer;
  throw Error(ErrorCode::kModelFile, "no tokenizer", impl_->directory,
              "the directory has neither tokenizer.json nor tokenizer.model",
              "pass --tokenizer DIR (state-spaces models use that of EleutherAI/gpt-neox-20b)");
}

std::optional<ChatTemplate> Engine::chat_template(const std::string& name) const {
  std::optional<ChatTemplate> found;
  if (!impl_->directory.empty()) found = ChatTemplate::find(impl_->directory, name);
  if (!found && !impl_->tokenizer_path.empty()) {
    const std::string& path = impl_->tokenizer_path;
    found = ChatTemplate::find(is_directory(path) ? path : parent_path(path), name);
  }
  if (!found || !impl_->tokenizer) return found;
  // Models that name no tokens have them in the tokenizer's own file.
  const Tokenizer& tokenizer = *impl_->tokenizer;
  if (tokenizer.bos_id()) found = found->with_token("bos_token", tokenizer.token_text(*tokenizer.bos_id()));
  if (tokenizer.eos_id()) found = found->with_token("eos_token", tokenizer.token_text(*tokenizer.eos_id()));
  return found;
}

int64_t Engine::vocab_size() const { return impl_->vocab_size; }
int64_t Engine::table_rows() const { return impl_->executor->table_rows(); }
int Engine::max_sequences() const { return impl_->executor->limits().max_sequences; }
int Engine::max_tokens() const { return impl_->executor->limits().max_tokens; }
int Engine::threads() const { return impl_->backend->stream().threads; }
std::string Engine::description() const { return impl_->backend->description(); }
std::string Engine::explain() const { return quamba2::explain(impl_->executor->plan()); }
uint64_t Engine::weight_bytes() const { return impl_->executor->plan().weight_bytes; }
uint64_t Engine::state_bytes() const { return impl_->executor->state_bytes(); }

const std::string& Engine::name() const { return impl_->name; }
const std::vector<int32_t>& Engine::end_ids() const { return impl_->eos; }

std::vector<int32_t> Engine::encode_prompt(std::string_view text, bool add_special_tokens) const {
  std::vector<int32_t> ids = tokenizer().encode(text, add_special_tokens);
  if (ids.empty() && tokenizer().bos_id()) ids.push_back(*tokenizer().bos_id());
  if (ids.empty() && !impl_->eos.empty()) ids.push_back(impl_->eos.front());
  return ids;
}

std::vector<Completion> Engine::generate(const std::vector<std::string>& prompts, const SamplingOptions& options,
                                         const TextSink& sink, GenerationTimes* times) {
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& prompt : prompts) ids.push_back(encode_prompt(prompt));
  return generate_from_ids(ids, options, sink, times);
}

std::vector<Completion> Engine::generate_from_ids(const std::vector<std::vector<int32_t>>& prompts,
                                                  const SamplingOptions& options, const TextSink& sink,
                                                  GenerationTimes* times) {
  impl_->take_over();
  return quamba2::generate(impl_->generator_model(), prompts, options, sink, times);
}

Completion Engine::resume(PausedText* paused, std::span<const int32_t> prompt, const SamplingOptions& options,
                          const TextSink& sink, GenerationTimes* times) {
  PausedText next = *paused;
  if (next.ids.empty()) sign(&next);
  check_model_of(next);
  impl_->take_over();
  Completion out = quamba2::resume(impl_->generator_model(), &next, prompt, options, sink, times);
  *paused = std::move(next);
  return out;
}

void Engine::sign(PausedText* paused) const {
  paused->model = impl_->name;
  paused->recipe = impl_->recipe;
  paused->fingerprint = impl_->fingerprint;
}

void Engine::check_model_of(const PausedText& paused) const {
  if (paused.fingerprint == impl_->fingerprint) return;
  const auto named = [](const std::string& model, const std::string& recipe) {
    return model + " (" + (recipe.empty() ? "not quantized" : recipe) + ")";
  };
  const std::string theirs = named(paused.model, paused.recipe), ours = named(impl_->name, impl_->recipe);
  throw Error(ErrorCode::kUsage, "state of another model", theirs,
              theirs == ours ? "this model has that name and recipe, but other weights or settings" : "this is " + ours,
              "use the model that wrote it, in the same recipe");
}

std::string Engine::fingerprint(std::string_view also) const {
  if (also.empty()) return impl_->fingerprint;
  Fnv1a hash;
  hash.add_field(impl_->fingerprint);
  hash.add_field(also);
  return hex_digits(hash.value());
}

namespace {

void check_slot(int slot, int slots) {
  if (slot >= 0 && slot < slots) return;
  throw Error(ErrorCode::kUsage, "slot out of range", std::to_string(slot),
              "the engine has " + std::to_string(slots) + " slots", "raise max_sequences");
}

}  // namespace

void Engine::feed(int slot, std::span<const int32_t> ids) {
  check_slot(slot, max_sequences());
  impl_->take_over();
  const int32_t row = read_tokens(impl_->executor.get(), slot, ids);
  const float* logits = impl_->executor->logits({&row, 1});
  impl_->last_logits[slot].assign(logits, logits + table_rows());
}

std::vector<float> Engine::logits(int slot) {
  check_slot(slot, max_sequences());
  const auto at = impl_->last_logits.find(slot);
  if (at == impl_->last_logits.end())
    throw Error(ErrorCode::kUsage, "no logits", "slot " + std::to_string(slot), "no token was read yet",
                "call feed first");
  return at->second;
}

void Engine::reset(int slot) {
  check_slot(slot, max_sequences());
  impl_->take_over().reset_state(slot);
  impl_->last_logits.erase(slot);
}

std::vector<std::byte> Engine::save_state(int slot) const {
  check_slot(slot, max_sequences());
  return impl_->executor->save_state(slot);
}

void Engine::load_state(int slot, std::span<const std::byte> state) {
  check_slot(slot, max_sequences());
  impl_->take_over().load_state(slot, state);
  impl_->last_logits.erase(slot);
}

}  // namespace quamba2
