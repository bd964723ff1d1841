// SPDX-License-Identifier: Apache-2.0
// A model at work: generation, logits, states.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quamba2/model.h"
#include "quamba2/tokenizer.h"

namespace quamba2 {

struct EngineOptions {
  std::string device = "cpu";  // "cpu", or "reference" (double precision, slow)
  int threads = 0;             // 0: all that this process may use
  int max_sequences = 1;       // sequences at a time
  int max_tokens = 512;        // tokens of one call over all sequences; longer prompts are read in several
  std::string tokenizer;       // directory or file; empty: the model's own
};

struct SamplingOptions {
  int64_t max_tokens = 128;
  double temperature = 0;  // 0: greedy
  int64_t top_k = 0;       // 0: off
  double top_p = 1;        // 1: off
  double min_p = 0;        // 0: off; keeps tokens of at least this share of the likeliest one's probability
  double repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  uint64_t seed = 0;
  std::vector<std::string> stop;  // strings that end the text; they are not part of it
  bool ignore_eos = false;
};

enum class FinishReason { kLength, kStop, kEndOfText, kCancelled };

struct Completion {
  std::vector<int32_t> prompt_ids, ids;
  std::string text;
  FinishReason finish = FinishReason::kLength;
};

// Called with whole UTF-8 characters as they come; returning false ends that prompt's text.
using TextSink = std::function<bool(size_t prompt, std::string_view piece)>;

struct GenerationTimes {
  int64_t prompt_tokens = 0, generated_tokens = 0;
  double prompt_seconds = 0, generation_seconds = 0;
};

class Engine {
 public:
  // The tokenizer may be absent: then only calls on token ids work. Throws Error{kModelFile}, Error{kUsage} for an unknown
  // device, Error{kResource}.
  static Engine load(const std::string& path_or_name, const EngineOptions& options = {});
  explicit Engine(const Model& model, const EngineOptions& options = {});
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  const Tokenizer& tokenizer() const;  // throws Error{kModelFile} where there is none
  int64_t vocab_size() const;          // ids that may be sampled
  int64_t table_rows() const;          // length of a row of logits, padding included
  int max_sequences() const;
  std::string description() const;     // device, level, threads
  std::string explain() const;         // kernel of every node, and why better ones were refused
  uint64_t weight_bytes() const;       // in the formats that the kernels read
  uint64_t state_bytes() const;        // of one sequence

  // Continues every prompt; several are decoded together, each with the result that it has alone. More prompts than
  // max_sequences are taken in turn.
  std::vector<Completion> generate(const std::vector<std::string>& prompts, const SamplingOptions& options,
                                   const TextSink& sink = {}, GenerationTimes* times = nullptr);

  // Reads tokens into a slot (0 .. max_sequences - 1), continuing its state.
  void feed(int slot, std::span<const int32_t> ids);
  // Logits after the last token that `feed` read into that slot, table_rows() values.
  std::vector<float> logits(int slot);
  void reset(int slot);
  // The state of a slot, and back: generation continues bit for bit on the same device and recipe.
  std::vector<std::byte> save_state(int slot) const;
  void load_state(int slot, std::span<const std::byte> state);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace quamba2
