// SPDX-License-Identifier: Apache-2.0
// A conversation with a model. What was said is in its state: each turn reads what is new, never the history.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "quamba2/quamba2.h"

namespace quamba2::cli {

// Lines "User:" and "Assistant:", for models that bring no template along.
ChatTemplate plain_template();

class Conversation {
 public:
  // With `plain`, answers end before another "User:".
  Conversation(Engine& engine, ChatTemplate chat, bool plain, SamplingOptions sampling, std::string system);

  // Answers. One that the sink ended is kept as far as it was said. After an error the conversation is what it was.
  Completion say(const std::string& text, const TextSink& sink, GenerationTimes* times);
  // Answers the last message once more, from the state of before it; random numbers go on. Throws Error{kUsage} where
  // there is none.
  Completion regenerate(const TextSink& sink, GenerationTimes* times);
  void reset();                              // the system message stays
  void set_system(const std::string& text);  // and a new conversation begins

  // State and messages in a file. `load` throws Error{kModelFile}, or Error{kUsage} for one of another model.
  void save(const std::string& path) const;
  void load(const std::string& path);

  const std::vector<ChatMessage>& messages() const { return now_.messages; }

 private:
  struct Point {
    PausedText session;
    std::vector<ChatMessage> messages;
    // What the model has written behind the answer that was shown (a stop string, part of a character), with and without
    // its last token; nothing where that is no such text.
    std::optional<std::string> tail = {}, shorter_tail = {};
  };
  Completion answer(const Point& from, const std::string& text, const TextSink& sink, GenerationTimes* times);
  std::optional<std::string> behind_answer(std::vector<ChatMessage> messages) const;
  std::vector<int32_t> next_ids(Point* point) const;
  void stop_where_turns_end();

  Engine& engine_;
  ChatTemplate chat_;
  bool plain_;
  SamplingOptions sampling_;
  std::string system_;
  Point now_;
  std::optional<Point> before_;  // the last message
};

}  // namespace quamba2::cli
