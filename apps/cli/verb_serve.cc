// SPDX-License-Identifier: Apache-2.0
// serve: an OpenAI-compatible HTTP server.
#include <fmt/format.h>

#include <cmath>

#include "../server/server.h"
#include "cli.h"
#include "input.h"
#include "interrupt.h"
#include "units.h"

namespace quamba2::cli {
namespace {

struct ServeArgs {
  std::string model;
  int port = 8000;
  double request_seconds = 0, shutdown_seconds = 30;
  int64_t max_body_mib = 8, cache_mib = 256;
  ServiceOptions service;
  server::ServerOptions server;
};

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(std::ceil(1000 * seconds)));
}

int serve(Session& s, const ServeArgs& args) {
  ServiceOptions service = args.service;
  service.device = s.common.device;
  service.threads = thread_count(s.common);
  service.tokenizer = s.common.tokenizer;
  server::ServerOptions options = args.server;
  options.port = static_cast<uint16_t>(args.port);
  options.version = QUAMBA2_VERSION;
  options.max_body = static_cast<size_t>(args.max_body_mib) << 20;
  options.request_time = milliseconds(args.request_seconds);
  options.shutdown_time = milliseconds(args.shutdown_seconds);
  if (options.chat_template != "chatml" && !options.chat_template.empty())
    options.chat_template = read_input(options.chat_template, "--chat-template");
  if (s.common.verbose) options.log = [&s](const std::string& message) { s.progress.note(message); };
  service.cache_bytes = static_cast<uint64_t>(args.cache_mib) << 20;
  server::Server server(args.model, service, options);
  if (s.common.verbose) s.progress.note("listening at " + server.address() + "; the model is loading");
  const auto ready = [&] {
    if (s.common.verbose) s.progress.note(server.engine().description());
    s.out.write(fmt::format("{} at {}\n", server.model(), server.address()));
    s.out.flush();
  };
  server.run([] { return interrupted() != 0; }, ready);
  acknowledge_interrupt();
  return 0;
}

void add_limits(CLI::App* verb, ServeArgs* args) {
  const auto option = [&](const std::string& name, auto& value, const std::string& what) {
    return verb->add_option(name, value, what)->group("Limits");
  };
  at_least(option("--slots", args->service.slots, "texts that grow at a time, each with a state (default 16)"), 1);
  at_least(option("--chunk", args->service.chunk, "tokens of a prompt read between two tokens of texts (default 256)"),
           1);
  at_least(
      option("--prefix-cache", args->cache_mib, "states of prompts kept for others that begin alike (default 256)"), 0,
      "MIB");
  at_least(option("--max-waiting", args->service.max_waiting, "requests that may wait for a slot (default 1024)"), 0);
  at_least(option("--max-length", args->server.max_length, "tokens of prompt and text together (default 131072)"), 1);
  at_least(option("--max-body", args->max_body_mib, "size of a request's body (default 8)"), 1, "MIB");
  at_least(option("--max-connections", args->server.max_connections, "connections at a time (default 1024)"), 1);
  option("--request-timeout", args->request_seconds, "seconds that a request may take (0: any)")
      ->option_text("S")
      ->check(CLI::Range(0.0, 1e9));
  option("--shutdown-timeout", args->shutdown_seconds, "seconds that texts may still grow at the end (default 30)")
      ->option_text("S")
      ->check(CLI::Range(0.0, 1e9));
}

}  // namespace

void add_serve_verb(Program* program) {
  auto args = std::make_shared<ServeArgs>();
  CLI::App* verb = add_verb(program, &program->root, "serve", "Run", "answer OpenAI API requests over HTTP",
                            "quamba2 serve mamba2-130m-w4a8 --port 8000", kDevice | kThreads | kTokenizer);
  verb->add_option("MODEL", args->model, "model directory, weights file in one, or org/name")->required();
  verb->add_option("--host", args->server.host, "address to listen at (default 127.0.0.1)")->option_text("HOST");
  at_least(verb->add_option("--port", args->port, "port (default 8000; 0: a free one, which is printed)"), 0)
      ->check(CLI::Range(0, 65535));
  verb->add_option("--api-key", args->server.api_key, "key that clients must give (default: none)")->option_text("KEY");
  verb->add_option("--served-model-name", args->server.model, "the model's id (default: its directory's name)")
      ->option_text("NAME");
  verb->add_option("--chat-template", args->server.chat_template, "template file, or chatml (default: the model's own)")
      ->option_text("FILE");
  verb->add_option("--metrics-prefix", args->server.metrics_prefix, "of the names in /metrics (default quamba2:)")
      ->option_text("TEXT");
  verb->add_option("--state-dir", args->server.state_dir, "directory where clients may keep states (default: nowhere)")
      ->option_text("DIR");
  verb->add_flag("--strict", args->server.strict, "refuse requests with members that nobody knows");
  add_limits(verb, args.get());
  set_action(program, verb, args, serve);
}

}  // namespace quamba2::cli
