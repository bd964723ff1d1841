// SPDX-License-Identifier: Apache-2.0
// chat: a conversation on the terminal, or with whoever writes to standard input.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "chat_input.h"
#include "cli.h"
#include "conversation.h"
#include "input.h"
#include "interrupt.h"
#include "sampling_options.h"
#include "suggest.h"
#include "units.h"

namespace quamba2::cli {
namespace {

struct ChatArgs {
  std::string model, system, chat_template, load_state;
  SamplingOptions sampling{.max_tokens = 512};
};

constexpr const char* kHelp =
    "/help         this list\n"
    "/reset        a new conversation; the system message stays\n"
    "/system TEXT  a new conversation with this system message (none without TEXT)\n"
    "/regenerate   answer the last message once more\n"
    "/save FILE    keep the conversation, its state included\n"
    "/load FILE    go on with one that was kept\n"
    "/quit         leave; Ctrl-D and, between answers, Ctrl-C do so too\n"
    "A line that ends in \\ goes on in the next one; lines between two \"\"\" are one message; //text says /text.\n";

struct Chosen {
  ChatTemplate chat;
  bool plain = false;
};

Chosen choose_template(Session& s, const Engine& engine, const std::string& asked) {
  if (asked == "plain") return {plain_template(), true};
  if (asked == "chatml") return {ChatTemplate::chatml()};
  if (!asked.empty()) return {ChatTemplate::parse(read_input(asked, "--template"), asked)};
  if (std::optional<ChatTemplate> own = engine.chat_template()) return {*own};
  s.progress.note(
      "note: this model has no chat template, so lines 'User:' and 'Assistant:' are used; --template takes a file, "
      "chatml or plain");
  return {plain_template(), true};
}

class Chat {
 public:
  Chat(Session& session, Conversation& conversation)
      : s_(session), conversation_(conversation), talks_(isatty(STDIN_FILENO) == 1) {}

  void run() {
    ChatInput input(STDIN_FILENO);
    const bool prompts = talks_ && s_.terminal.output_is_tty;
    while (const auto message = input.message(prompts ? "> " : "", prompts ? ". " : "")) {
      try {
        if (!take(*message)) return;
      } catch (const Error& e) {
        if (!talks_) throw;  // a script shall hear of it
        s_.progress.note(styled(s_.terminal.error_colour, Style::kRed, "error:") + " " + e.what());
      }
      if (interrupted()) return;
    }
    if (prompts) s_.out.write("\n");
  }

 private:
  // False: the user leaves.
  bool take(const std::string& message) {
    if (message.find_first_not_of(" \t\n") == std::string::npos) return true;
    if (message[0] != '/') return answer([&](auto& sink, auto* times) { conversation_.say(message, sink, times); });
    if (message.starts_with("//"))
      return answer([&](auto& sink, auto* times) { conversation_.say(message.substr(1), sink, times); });
    const size_t blank = message.find_first_of(" \n");
    const std::string word = message.substr(0, blank);
    const size_t begin = message.find_first_not_of(" \n", blank);
    return command(word, blank == std::string::npos || begin == std::string::npos ? "" : message.substr(begin));
  }

  bool command(const std::string& word, const std::string& rest) {
    if (word == "/quit" || word == "/exit") return false;
    if (word == "/help") {
      s_.out.write(kHelp);
      s_.out.flush();
    } else if (word == "/reset") {
      conversation_.reset();
    } else if (word == "/system") {
      conversation_.set_system(rest);
    } else if (word == "/regenerate") {
      answer([&](auto& sink, auto* times) { conversation_.regenerate(sink, times); });
    } else if (word == "/save" || word == "/load") {
      if (rest.empty()) throw Error(ErrorCode::kUsage, "no file given", word, "", "write " + word + " FILE");
      if (word == "/save") conversation_.save(rest);
      if (word == "/load") conversation_.load(rest);
      s_.progress.note((word == "/save" ? "saved to " : "loaded from ") + rest);
    } else {
      throw Error(ErrorCode::kUsage, "unknown command", word, "there is none of that name",
                  did_you_mean(word, {"/help", "/load", "/quit", "/regenerate", "/reset", "/save", "/system"},
                               "/help lists them"));
    }
    return true;
  }

  // Streams an answer. Ctrl-C ends the answer, not the chat.
  template <class Ask>
  bool answer(const Ask& ask) {
    const auto begin = std::chrono::steady_clock::now();
    double first = -1;
    const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
    const TextSink show = [&](size_t, std::string_view piece) {
      if (first < 0) first = since();
      s_.out.write(piece);
      s_.out.flush();
      return interrupted() == 0;
    };
    GenerationTimes times;
    try {
      ask(show, &times);
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kInterrupted || interrupted() != SIGINT) throw;
      s_.progress.note("stopped before the answer began; the message is not part of the conversation");
    }
    s_.out.write("\n");
    s_.out.flush();
    if (s_.common.verbose) {
      s_.progress.note(fmt::format("first text after {:.1f} ms; read {} tokens; generated {} in {}", 1000 * first,
                                   grouped(times.prompt_tokens), grouped(times.generated_tokens),
                                   human_seconds(times.generation_seconds)));
    }
    if (interrupted() != SIGINT) return true;
    acknowledge_interrupt();
    catch_interrupts();
    return true;
  }

  Session& s_;
  Conversation& conversation_;
  const bool talks_;
};

int chat(Session& s, const ChatArgs& args) {
  Engine engine = Engine::load(args.model, engine_options(s.common));
  if (s.common.verbose) s.progress.note(engine.description());
  Chosen chosen = choose_template(s, engine, args.chat_template);
  Conversation conversation(engine, std::move(chosen.chat), chosen.plain, args.sampling, args.system);
  if (!args.load_state.empty()) conversation.load(args.load_state);
  if (isatty(STDIN_FILENO) == 1) s.progress.note("/help lists commands; Ctrl-C stops an answer, Ctrl-D leaves");
  say_at_interrupt("\n");
  Chat(s, conversation).run();
  return 0;
}

}  // namespace

void add_chat_verb(Program* program) {
  auto args = std::make_shared<ChatArgs>();
  CLI::App* verb = add_verb(program, &program->root, "chat", "Run", "talk with a model",
                            "quamba2 chat falcon-mamba-7b-instruct-w4a8 --system \"Be brief.\" --temperature 0.7",
                            kDevice | kThreads | kTokenizer);
  verb->add_option("MODEL", args->model, "model directory, weights file in one, or org/name")->required();
  verb->add_option("--system", args->system, "system message")->option_text("TEXT");
  verb->add_option("--template,--chat-template", args->chat_template,
                   "template file, chatml or plain (default: the model's own)")
      ->option_text("FILE");
  verb->add_option("--load-state", args->load_state, "go on with a conversation that /save kept")->option_text("FILE");
  at_least(verb->add_option("-n,--max-tokens", args->sampling.max_tokens, "tokens of an answer at most (default 512)"),
           1);
  repeated(verb->add_option("--stop", args->sampling.stop, "text that ends an answer (again for more)")
               ->option_text("TEXT"));
  add_sampling_options(verb, &args->sampling);
  set_action(program, verb, args, chat);
}

}  // namespace quamba2::cli
