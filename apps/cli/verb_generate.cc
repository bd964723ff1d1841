// SPDX-License-Identifier: Apache-2.0
// generate: continues prompts.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli.h"
#include "input.h"
#include "interrupt.h"
#include "json.h"
#include "sampling_options.h"
#include "units.h"

namespace quamba2::cli {
namespace {

struct GenerateArgs {
  std::string model, file, load_state, save_state;
  std::vector<std::string> prompts;
  int batch = 8;
  bool echo = true;
  SamplingOptions sampling;
};

std::vector<std::string> all_prompts(const GenerateArgs& args) {
  std::vector<std::string> prompts = args.prompts;
  if (!args.file.empty()) {
    std::string text = read_input(args.file, "--file");
    if (!text.empty() && text.back() == '\n') text.pop_back();  // the editor's, not the author's
    prompts.push_back(std::move(text));
  }
  if (prompts.empty() && args.load_state.empty()) {
    throw Error(ErrorCode::kUsage, "no prompt", "generate", "there is nothing to continue",
                "give -p TEXT, or -f FILE (- for standard input)");
  }
  return prompts;
}

void summarize(Session& s, const GenerationTimes& t) {
  const auto part = [](const char* name, int64_t tokens, double seconds) {
    return fmt::format("{} {} tokens in {}, {} tokens/s", name, grouped(tokens), human_seconds(seconds),
                       seconds > 0 ? human_rate(static_cast<double>(tokens) / seconds) : "-");
  };
  s.progress.note(styled(s.terminal.error_colour, Style::kDim,
                         part("prompt", t.prompt_tokens, t.prompt_seconds) + "; " +
                             part("generation", t.generated_tokens, t.generation_seconds)));
}

void add(GenerationTimes* sum, const GenerationTimes& t) {
  sum->prompt_tokens += t.prompt_tokens;
  sum->generated_tokens += t.generated_tokens;
  sum->prompt_seconds += t.prompt_seconds;
  sum->generation_seconds += t.generation_seconds;
}

using Generate = std::function<Completion(const TextSink& sink, GenerationTimes* times)>;

// One prompt: every piece is on the screen as soon as it is known.
GenerationTimes stream(Session& s, const GenerateArgs& args, const std::string& prompt, const Generate& run) {
  GenerationTimes times;
  bool echo = args.echo;
  const auto show = [&](size_t, std::string_view piece) {
    if (std::exchange(echo, false)) s.out.write(prompt);  // not before: options may yet be refused
    s.out.write(piece);
    s.out.flush();
    return interrupted() == 0;
  };
  run(show, &times);
  s.out.write(echo ? prompt + "\n" : "\n");
  s.out.flush();
  return times;
}

// Several prompts: `batch` of them at a time, printed whole and in order.
std::vector<Completion> in_batches(Session& s, Engine& engine, const GenerateArgs& args,
                                   const std::vector<std::string>& prompts, GenerationTimes* times, bool print) {
  std::vector<Completion> all;
  int64_t pieces = 0;
  const int64_t most = static_cast<int64_t>(prompts.size()) * args.sampling.max_tokens;
  const auto count = [&](size_t, std::string_view) {
    s.progress.report("generating", std::min(++pieces, most), most + 1);  // + 1: the end is told below
    return interrupted() == 0;
  };
  const auto step = static_cast<size_t>(engine.max_sequences());
  for (size_t at = 0; at < prompts.size() && !interrupted(); at += step) {
    const std::vector<std::string> some(
        prompts.begin() + static_cast<std::ptrdiff_t>(at),
        prompts.begin() + static_cast<std::ptrdiff_t>(std::min(at + step, prompts.size())));
    GenerationTimes part;
    std::vector<Completion> done = engine.generate(some, args.sampling, count, &part);
    add(times, part);
    for (size_t i = 0; i < done.size(); ++i) {
      if (print) {
        s.out.write(styled(s.terminal.output_colour, Style::kBold, fmt::format("== {}", at + i + 1)) + "\n");
        s.out.write((args.echo ? some[i] : "") + done[i].text + "\n");
        s.out.flush();
      }
      all.push_back(std::move(done[i]));
    }
  }
  s.progress.report("generating", most + 1, most + 1);
  return all;
}

std::string completions_json(const std::vector<std::string>& prompts, const std::vector<Completion>& all,
                             const GenerationTimes& t) {
  Json json;
  json.open_object().key("completions").open_array();
  for (size_t i = 0; i < all.size(); ++i) {
    json.open_object().field("prompt", prompts[i]).field("text", all[i].text);
    json.field("finish_reason", name_of(all[i].finish)).field("prompt_ids", all[i].prompt_ids).field("ids", all[i].ids);
    json.close();
  }
  json.close().field("prompt_tokens", t.prompt_tokens).field("prompt_seconds", t.prompt_seconds);
  json.field("generated_tokens", t.generated_tokens).field("generation_seconds", t.generation_seconds);
  return json.close().text();
}

// One text that goes on from a state file, is kept in one, or both.
int generate_in_session(Session& s, const GenerateArgs& args, const std::vector<std::string>& prompts) {
  if (prompts.size() > 1)
    throw Error(ErrorCode::kUsage, "several prompts", "generate", "a state file holds one text", "give one prompt");
  PausedText session;
  if (!args.load_state.empty()) session = load_state_file(args.load_state);
  if (!args.save_state.empty()) check_writable_place(args.save_state, "--save-state");
  Engine engine = Engine::load(args.model, engine_options(s.common));
  if (s.common.verbose) s.progress.note(engine.description());
  check_model_of(engine, session, args.load_state);
  const std::string prompt = prompts.empty() ? "" : prompts[0];
  const bool begins = session.ids.empty();
  const std::vector<int32_t> ids = begins ? engine.encode_prompt(prompt) : engine.tokenizer().encode(prompt);
  session.notes.clear();  // they were about the text as it was
  const Generate run = [&](const TextSink& sink, GenerationTimes* times) {
    return engine.resume(&session, ids, args.sampling, sink, times);
  };
  GenerationTimes times;
  if (s.common.json) {
    const Completion done = run([](size_t, std::string_view) { return interrupted() == 0; }, &times);
    s.out.write(completions_json({prompt}, {done}, times));
  } else {
    times = stream(s, args, prompt, run);
  }
  if (!args.save_state.empty()) save_state_file(session, args.save_state);
  summarize(s, times);
  return 0;
}

int generate(Session& s, const GenerateArgs& args) {
  const std::vector<std::string> prompts = all_prompts(args);
  if (!args.load_state.empty() || !args.save_state.empty()) return generate_in_session(s, args, prompts);
  EngineOptions options = engine_options(s.common);
  options.max_sequences = static_cast<int>(std::min<size_t>(prompts.size(), static_cast<size_t>(args.batch)));
  Engine engine = Engine::load(args.model, options);
  if (s.common.verbose) s.progress.note(engine.description());
  GenerationTimes times;
  if (prompts.size() == 1 && !s.common.json) {
    times = stream(s, args, prompts[0], [&](const TextSink& sink, GenerationTimes* t) {
      return engine.generate(prompts, args.sampling, sink, t)[0];
    });
  } else {
    const std::vector<Completion> all = in_batches(s, engine, args, prompts, &times, !s.common.json);
    if (s.common.json) s.out.write(completions_json(prompts, all, times));
  }
  summarize(s, times);
  return 0;
}

}  // namespace

void add_generate_verb(Program* program) {
  auto args = std::make_shared<GenerateArgs>();
  CLI::App* verb = add_verb(program, &program->root, "generate", "Run", "continue text",
                            "quamba2 generate mamba2-130m-w4a16 -p \"Once upon a time\" -n 64 --temperature 0.8",
                            kDevice | kThreads | kTokenizer | kJson);
  verb->add_option("MODEL", args->model, "model directory, weights file in one, or org/name")->required();
  repeated(verb->add_option("-p,--prompt", args->prompts, "text to continue (again for more)")->option_text("TEXT"));
  verb->add_option("-f,--file", args->file, "file with one prompt (- for standard input)")->option_text("FILE");
  at_least(verb->add_option("-n,--max-tokens", args->sampling.max_tokens, "tokens to generate at most (default 128)"),
           0);
  repeated(verb->add_option("--stop", args->sampling.stop, "text that ends the output (again for more)")
               ->option_text("TEXT"));
  verb->add_flag("--ignore-eos", args->sampling.ignore_eos, "go on after the end of the text");
  verb->add_flag("--echo,!--no-echo", args->echo, "print the prompt before its continuation (default), or not");
  at_least(verb->add_option("-b,--batch", args->batch, "prompts decoded together at most (default 8)"), 1);
  verb->add_option("--save-state", args->save_state, "keep the text's state in this file, for --load-state")
      ->option_text("FILE");
  verb->add_option("--load-state", args->load_state, "go on from a state file (without a prompt: with its own text)")
      ->option_text("FILE");
  add_sampling_options(verb, &args->sampling);
  set_action(program, verb, args, generate);
}

}  // namespace quamba2::cli
