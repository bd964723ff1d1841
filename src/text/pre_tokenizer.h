// SPDX-License-Identifier: Apache-2.0
// The pre-tokenizer of a tokenizer.json: cuts the text into the words that BPE then works on, one at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2 {

class Json;

// Receives a piece (valid during the call only), and whether it starts where the text starts.
using PieceSink = std::function<void(std::string_view piece, bool at_start)>;

// One stage. Pieces come in the order of the text and are never empty.
class PreTokenizerStage {
 public:
  virtual ~PreTokenizerStage() = default;
  virtual void split(std::string_view text, bool at_start, const PieceSink& sink) const = 0;
};

class PreTokenizer {
 public:
  // `spec` is the member "pre_tokenizer", or nullptr for none. Throws Error{kModelFile} naming an unknown stage.
  static PreTokenizer from_json(const Json* spec, const std::string& where);

  // True when the pieces are raw bytes that the model has yet to map to the byte alphabet: the mapping is the last
  // thing that happens, so that it is done once a distinct word instead of once a word.
  bool leaves_bytes() const { return leaves_bytes_; }
  void split(std::string_view text, bool at_start, const PieceSink& sink) const;

 private:
  void run(size_t stage, std::string_view text, bool at_start, const PieceSink& sink) const;
  std::vector<std::shared_ptr<const PreTokenizerStage>> stages_;
  bool leaves_bytes_ = false;
};

}  // namespace quamba2
