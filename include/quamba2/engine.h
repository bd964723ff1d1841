// SPDX-License-Identifier: Apache-2.0
// A model at work: generation, logits, states.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quamba2/chat_template.h"
#include "quamba2/generate.h"
#include "quamba2/model.h"
#include "quamba2/paused_text.h"
#include "quamba2/tokenizer.h"

namespace quamba2 {

struct EngineOptions {
  std::string device = "cpu";  // "cpu", "cuda:0" (a GPU, or cuda:1, ...), or "reference" (double precision, slow)
  int threads = 0;             // 0: all that this process may use
  int max_sequences = 1;       // sequences at a time
  int max_tokens = 0;   // tokens of one call over all sequences; longer prompts are read in several. 0: 512, on a
                        // GPU 2,048, which fewer do not fill
  int state_every = 0;  // tokens between two roundings of quantized states; 0: once a call (1: as in generation)
  std::string tokenizer = {};  // directory or file; empty: the model's own
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
  // The template of the model's directory, else of the tokenizer's; nothing where neither has one. Throws
  // Error{kModelFile} for one that is not known here.
  std::optional<ChatTemplate> chat_template(const std::string& name = "default") const;
  const std::string& name() const;              // of the model's directory
  const std::vector<int32_t>& end_ids() const;  // tokens that end a text
  // A prompt's tokens as `generate` reads them: an empty one begins a new text. Throws as tokenizer() does.
  std::vector<int32_t> encode_prompt(std::string_view text, bool add_special_tokens = true) const;
  int64_t vocab_size() const;  // ids that may be sampled
  int64_t table_rows() const;  // length of a row of logits, padding included
  int max_sequences() const;
  int max_tokens() const;  // of one call
  int threads() const;
  std::string description() const;  // device, level, threads
  std::string explain() const;      // kernel of every node, and why better ones were refused
  uint64_t weight_bytes() const;    // in the formats that the kernels read
  uint64_t state_bytes() const;     // of one sequence

  // Continues every prompt; several are decoded together, each with the result that it has alone. More prompts than
  // max_sequences are taken in turn.
  std::vector<Completion> generate(const std::vector<std::string>& prompts, const SamplingOptions& options,
                                   const TextSink& sink = {}, GenerationTimes* times = nullptr);
  // The same for prompts of at least one token each.
  std::vector<Completion> generate_from_ids(const std::vector<std::vector<int32_t>>& prompts,
                                            const SamplingOptions& options, const TextSink& sink = {},
                                            GenerationTimes* times = nullptr);

  // Goes on with a paused text, which is then the one behind the text: prompt and text join it. An empty paused text begins one.
  // Without a prompt the text itself goes on, with the same bits as if it had not paused: sampling too, where options and
  // seed are the same. (Text that is held back at max_tokens, the beginning of a character or of a stop string, comes
  // then.) With max_tokens 0 the prompt joins it and nothing is generated: a text read in such pieces gives what the whole
  // gives. The token that ended a text is not part of it. Throws Error{kUsage} for a paused text of another model or recipe;
  // after an error the paused text is what it was.
  Completion resume(PausedText* paused, std::span<const int32_t> prompt, const SamplingOptions& options,
                    const TextSink& sink = {}, GenerationTimes* times = nullptr);
  // 16 hexadecimal digits of the model's configuration, recipe, and weights' names, shapes, formats and samples of their
  // bytes; and of `also`.
  std::string fingerprint(std::string_view also = {}) const;
  // Puts its names and fingerprint into a paused text.
  void sign(PausedText* paused) const;
  // Throws as resume does for a paused text of another model or recipe, which it names.
  void check_model_of(const PausedText& paused) const;

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
