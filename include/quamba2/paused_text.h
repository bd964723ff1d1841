// SPDX-License-Identifier: Apache-2.0
// A text that can go on: what a model has to know of it, apart from any engine. A model of this kind needs no more than
// a state of one size, however long the text is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace quamba2 {

// A value; copies share the state. A new one is an empty text. Engine::resume goes on with it, state_file.h keeps it.
struct PausedText {
  std::string model, recipe;  // names, for messages
  std::string fingerprint;    // Engine::fingerprint() of the model that read it
  std::vector<int32_t> ids;   // the whole text
  int64_t read = 0;           // of `ids`, what `state` has seen; the rest is read when the text goes on
  int64_t prompt_tokens = 0;  // of `ids`; those behind them were generated
  uint64_t seed = 0;          // of the random numbers that were drawn for the text, and how many
  uint64_t draws = 0;
  std::shared_ptr<const std::vector<std::byte>> state = {};  // nothing while `read` is 0
  std::map<std::string, std::string> notes = {};             // what programs keep beside it: name, text
};

}  // namespace quamba2
