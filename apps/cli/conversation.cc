// SPDX-License-Identifier: Apache-2.0
#include "conversation.h"

#include <nlohmann/json.hpp>

#include "input.h"

namespace quamba2::cli {
namespace {

using nlohmann::json;

// Stands for an answer while a template runs: what the template writes behind it is what the model has not read yet.
constexpr const char* kAnswer =
    "\x02"
    "answer"
    "\x03";

[[noreturn]] void no_conversation(const std::string& path, const std::string& why) {
  throw Error(ErrorCode::kModelFile, "no conversation in the state file", path, why,
              "give a file that /save wrote; 'generate --load-state' goes on from others");
}

json optional_text(const std::optional<std::string>& text) { return text ? json(*text) : json(nullptr); }

std::optional<std::string> optional_text(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<std::string>());
}

std::string note_of(const std::vector<ChatMessage>& messages, const json& tail, const json& shorter) {
  json list = json::array();
  for (const ChatMessage& m : messages) list.push_back({{"role", m.role}, {"content", m.content}});
  const json note = {{"messages", list}, {"tail", tail}, {"shorter_tail", shorter}};
  return note.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

ChatTemplate plain_template() {
  return ChatTemplate::parse(
      "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\n\n{% elif m.role == 'user' %}"
      "{% if not loop.first and messages[loop.index0 - 1].role == 'assistant' %}{{ '\\n' }}{% endif %}"
      "User: {{ m.content }}{{ '\\n' }}{% else %}Assistant:{{ m.content }}{% endif %}{% endfor %}"
      "{% if add_generation_prompt %}Assistant:{% endif %}",
      "plain");
}

Conversation::Conversation(Engine& engine, ChatTemplate chat, bool plain, SamplingOptions sampling, std::string system)
    : engine_(engine), chat_(std::move(chat)), plain_(plain), sampling_(std::move(sampling)) {
  if (plain_) sampling_.stop.push_back("\nUser:");
  stop_where_turns_end();
  set_system(system);
}

// The text that follows the last answer; nothing where the template does not write answers out as they are.
std::optional<std::string> Conversation::behind_answer(std::vector<ChatMessage> messages) const {
  for (size_t i = messages.size(); i-- > 0;) {
    if (messages[i].role != "assistant") continue;
    messages[i].content = kAnswer;
    const std::string text = chat_.render(messages);
    const size_t at = text.rfind(kAnswer);
    if (at == std::string::npos) return std::nullopt;
    return text.substr(at + std::string_view(kAnswer).size());
  }
  return std::nullopt;
}

// A special token that closes an answer in the template ends it, whether the model's files name it or not.
void Conversation::stop_where_turns_end() {
  std::optional<std::string> text;
  try {
    text = behind_answer({{"user", "a"}, {"assistant", ""}, {"user", "b"}});
  } catch (const Error&) {
    return;  // it does not take these messages: then it is asked with the user's own
  }
  if (!text) return;
  const std::vector<int32_t> ids = engine_.tokenizer().encode(*text);
  if (!ids.empty() && engine_.tokenizer().is_special(ids[0])) sampling_.stop_token_ids.push_back(ids[0]);
}

void Conversation::reset() {
  now_ = {};
  before_.reset();
  if (!system_.empty()) now_.messages.push_back({"system", system_});
}

void Conversation::set_system(const std::string& text) {
  system_ = text;
  reset();
}

// What the model has to read before it can answer the last message. Where the state is of no use, it is dropped, and all
// is read.
std::vector<int32_t> Conversation::next_ids(Point* point) const {
  std::optional<std::string> text;
  if (!point->session.ids.empty()) text = behind_answer(point->messages);
  if (!text) {
    PausedText fresh;
    fresh.seed = point->session.seed;
    fresh.draws = point->session.draws;
    point->session = std::move(fresh);
    const std::string whole = chat_.render(point->messages);
    return plain_ ? engine_.encode_prompt(whole) : engine_.tokenizer().encode(whole);
  }
  // A stop string that the model wrote is there already. Its last token has not been read and may be taken back.
  PausedText& session = point->session;
  const std::optional<std::string>&tail = point->tail, &shorter = point->shorter_tail;
  if (tail && text->starts_with(*tail)) {
    text->erase(0, tail->size());
  } else if (shorter && text->starts_with(*shorter) && session.read < static_cast<int64_t>(session.ids.size())) {
    text->erase(0, shorter->size());
    session.ids.pop_back();
    session.prompt_tokens = std::min(session.prompt_tokens, static_cast<int64_t>(session.ids.size()));
  }
  return engine_.tokenizer().encode(*text);
}

Completion Conversation::answer(const Point& from, const std::string& text, const TextSink& sink,
                                GenerationTimes* times) {
  Point next = from;
  next.messages.push_back({"user", text});
  const std::vector<int32_t> ids = next_ids(&next);
  Completion done = engine_.resume(&next.session, ids, sampling_, sink, times);
  next.messages.push_back({"assistant", done.text});
  const auto tail_of = [&](const std::vector<int32_t>& said) {
    const std::string all = engine_.tokenizer().decode(said, true);
    return all.starts_with(done.text) ? std::optional(all.substr(done.text.size())) : std::nullopt;
  };
  next.tail = tail_of(done.ids);
  next.shorter_tail.reset();
  if (!done.ids.empty()) next.shorter_tail = tail_of({done.ids.begin(), done.ids.end() - 1});
  Point before = from;
  now_ = std::move(next);
  before_ = std::move(before);
  return done;
}

Completion Conversation::say(const std::string& text, const TextSink& sink, GenerationTimes* times) {
  return answer(now_, text, sink, times);
}

Completion Conversation::regenerate(const TextSink& sink, GenerationTimes* times) {
  if (!before_) {
    throw Error(ErrorCode::kUsage, "nothing to answer again", "/regenerate", "no message was answered here yet",
                "say something first");
  }
  Point from = *before_;
  from.session.seed = now_.session.seed;
  from.session.draws = now_.session.draws;
  const std::string text = now_.messages[from.messages.size()].content;
  return answer(from, text, sink, times);
}

void Conversation::save(const std::string& path) const {
  PausedText session = now_.session;
  session.notes["chat"] = note_of(now_.messages, optional_text(now_.tail), optional_text(now_.shorter_tail));
  save_state_file(session, path);
}

void Conversation::load(const std::string& path) {
  Point loaded;
  loaded.session = load_state_file(path);
  check_model_of(engine_, loaded.session, path);
  const auto note = loaded.session.notes.find("chat");
  if (note == loaded.session.notes.end()) no_conversation(path, "it holds a text that 'generate' wrote");
  try {
    const json all = json::parse(note->second);
    for (const json& m : all.at("messages"))
      loaded.messages.push_back({m.at("role").get<std::string>(), m.at("content").get<std::string>()});
    loaded.tail = optional_text(all.at("tail"));
    loaded.shorter_tail = optional_text(all.at("shorter_tail"));
  } catch (const json::exception& e) {
    no_conversation(path, e.what());
  }
  const bool has_system = !loaded.messages.empty() && loaded.messages[0].role == "system";
  system_ = has_system ? loaded.messages[0].content : "";
  now_ = std::move(loaded);
  before_.reset();
}

}  // namespace quamba2::cli
