// SPDX-License-Identifier: Apache-2.0
// bench serve: a load of requests on a server, in the block that vLLM prints.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "../load/load_report.h"
#include "../server/server.h"
#include "cli.h"
#include "input.h"
#include "interrupt.h"
#include "json.h"
#include "number_list.h"
#include "quamba2/random_model.h"

namespace quamba2::cli {
namespace {

// Where a server does not say how many ids its tokenizer has: these all have.
constexpr int64_t kIdsOfEveryTokenizer = 1000;
constexpr int kOfflineRuns = 3;
constexpr int64_t kMostOffline = 64;  // tokens: a step costs the same wherever a text is
// For prompts beside the load, which hold a slot while they are read.
constexpr int kSlotsBeside = 4, kWaitingBeside = 1024;
constexpr double kSecondsBeside = 600;

struct BenchServeArgs {
  std::string model, url, api_key, prompts, input = "128", output = "128";
  RandomModelOptions random = {.shape = ""};
  QuantizeOptions quantize = {.recipe = ""};
  std::string concurrencies, besides = "0";
  int slots = 0, chunk = 256;
  int64_t requests = 128, rounds = 0, memory_every = 0, seed = 0, beside_length = 2048;
  double rate = 0, temperature = 0, patience = 300, most_seconds = 0;
  bool no_offline = false;
  // Of one load: the options above are lists.
  int concurrency = 0;
  double beside_rate = 0;

  int at_a_time() const { return concurrency > 0 ? concurrency : rate > 0 ? 0 : 16; }
};

// Each number of requests at a time with each rate of prompts beside them.
std::vector<BenchServeArgs> loads_of(const BenchServeArgs& args) {
  std::vector<BenchServeArgs> out;
  const std::vector<int64_t> at_a_time =
      args.concurrencies.empty() ? std::vector<int64_t>{0} : parse_number_list(args.concurrencies, "--concurrency");
  for (const int64_t n : at_a_time) {
    if (n < 1 && !args.concurrencies.empty()) refuse_number_list("--concurrency", args.concurrencies);
    for (const int64_t rate : parse_number_list(args.besides, "--beside")) {
      out.push_back(args);
      out.back().concurrency = static_cast<int>(n);
      out.back().beside_rate = static_cast<double>(rate);
      if (args.rounds > 0 && out.back().at_a_time() > 0) out.back().requests = args.rounds * out.back().at_a_time();
    }
  }
  return out;
}

// Of a server that takes all these loads, one after the other.
ServiceOptions service_options(const Session& s, const std::vector<BenchServeArgs>& loads) {
  const BenchServeArgs& args = loads.front();
  ServiceOptions o;
  o.device = s.common.device;
  o.threads = thread_count(s.common);
  o.tokenizer = s.common.tokenizer;
  o.chunk = args.chunk;
  o.slots = args.slots > 0 ? args.slots : 16;
  for (const BenchServeArgs& load : loads) {
    const int beside = load.beside_rate > 0 ? kSlotsBeside : 0;
    if (args.slots == 0) o.slots = std::max(o.slots, load.at_a_time() + beside);
    o.max_waiting =
        std::max(o.max_waiting, static_cast<int>(std::min<int64_t>(load.requests, 1 << 20)) + kWaitingBeside);
  }
  return o;
}

// A server of our own on the loopback, with a thread.
class OwnServer {
 public:
  OwnServer(const ServiceOptions& options, const BenchServeArgs& args, Engine engine)
      : server_(
            [&](StepSink on_step) {
              ServiceOptions service = options;
              service.on_step = std::move(on_step);
              return std::make_unique<Service>(std::move(engine), service);
            },
            server_options(args, options.max_waiting)) {
    server_.load();
    thread_ = std::thread([this] { server_.run([this] { return stop_.load(); }); });
  }
  ~OwnServer() {
    stop_ = true;
    thread_.join();
  }
  std::string address() const { return server_.address(); }
  const Engine& engine() const { return server_.engine(); }

 private:
  static server::ServerOptions server_options(const BenchServeArgs& args, int most_requests) {
    server::ServerOptions o;
    o.port = 0;
    o.api_key = args.api_key;
    o.version = QUAMBA2_VERSION;
    o.max_connections = std::min(most_requests, 1 << 16) + 64;
    o.shutdown_time = std::chrono::milliseconds(0);
    return o;
  }

  std::atomic<bool> stop_ = false;
  server::Server server_;
  std::thread thread_;
};

void check_arguments(const BenchServeArgs& args) {
  const auto refuse = [](const char* what, const char* why, const char* hint) {
    throw Error(ErrorCode::kUsage, what, "bench serve", why, hint);
  };
  const int servers = !args.model.empty() + !args.url.empty() + !args.random.shape.empty();
  if (servers != 1) {
    refuse(servers == 0 ? "no server" : "two servers",
           "it measures one: that of a MODEL or of random weights, started here, or one that runs",
           "give MODEL, --random SHAPE or --url URL");
  }
  if (args.random.shape.empty() && (!args.quantize.recipe.empty() || !args.quantize.without.empty())) {
    refuse("options of random models", "--recipe and --without do not change a MODEL",
           "quantize it first, or use --random");
  }
  if (args.rate > 0 && !args.concurrencies.empty())
    refuse("two kinds of load", "requests come at a rate, or so many are under way", "give --rate or --concurrency");
  load::parse_length_range(args.input, "--input-len");
  load::parse_length_range(args.output, "--output-len");
}

Model model_of(const Session& s, const BenchServeArgs& args) {
  if (args.random.shape.empty()) return Model::from_pretrained(args.model);
  QuantizeOptions quantize = args.quantize;
  quantize.threads = thread_count(s.common);
  return make_random_model(args.random, quantize);
}

// What decoding alone reaches with as many sequences as the load has, without a server. Samples in tokens a second.
std::vector<double> offline_decode(Engine* engine, const BenchServeArgs& args, int64_t tokens) {
  BenchOptions options;
  options.prompts = {};
  options.generations = {std::min(tokens, kMostOffline)};
  options.batch = args.at_a_time();
  options.repetitions = kOfflineRuns;
  return bench(*engine, options).rows.at(0).samples;
}

struct Outcome {
  load::LoadReport report;
  std::string server, model;
  std::vector<double> offline;  // samples, before and after
  double offline_median() const { return load::distribution(offline).median; }
};

void put_load(Session& s, const BenchServeArgs& args, const std::string& url, Outcome* out) {
  load::LoadOptions options;
  options.server = load::parse_endpoint(url, "--url");
  options.server.api_key = args.api_key;
  if (const char* key = std::getenv("OPENAI_API_KEY"); key && args.api_key.empty() && !args.url.empty())
    options.server.api_key = key;
  options.concurrency = args.at_a_time();
  options.timed = args.rate > 0;
  options.patience = args.patience;
  options.memory_every = static_cast<size_t>(args.memory_every);
  const load::ServerFacts facts = load::ask_server(options.server);
  load::WorkloadOptions work;
  work.requests = args.requests;
  work.input = load::parse_length_range(args.input, "--input-len");
  work.output = load::parse_length_range(args.output, "--output-len");
  if (!args.prompts.empty()) work.prompts = load::prompts_of_lines(read_input(args.prompts, "--prompts"), "--prompts");
  work.vocab_size = facts.vocab_size > 0 ? facts.vocab_size : kIdsOfEveryTokenizer;
  work.temperature = args.temperature;
  work.rate = args.rate;
  work.seed = static_cast<uint64_t>(args.seed);
  work.model = facts.model;
  const auto requests = load::make_workload(work);
  if (args.beside_rate > 0) {
    load::WorkloadOptions beside = work;
    beside.requests = static_cast<int64_t>(args.beside_rate * kSecondsBeside) + 1;
    beside.input = {args.beside_length, args.beside_length};
    beside.output = {1, 1};
    beside.rate = args.beside_rate;
    ++beside.seed;
    options.beside = load::make_workload(beside);
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto too_long = [&] {
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - begin;
    return args.most_seconds > 0 && since.count() > args.most_seconds;
  };
  const auto result = load::run_load(
      options, requests, [&] { return interrupted() != 0 || too_long(); },
      [&](size_t done) { s.progress.report("requests", static_cast<int64_t>(done), args.requests); });
  if (interrupted()) throw Error(ErrorCode::kInterrupted, "interrupted", "", "");
  out->server = url;
  out->model = facts.model;
  out->report = load::summarize(result, static_cast<size_t>(args.at_a_time()));
}

// A CPU may be busier at one time than at another: the offline figure is taken before and after.
std::vector<Outcome> measure(Session& s, const BenchServeArgs& args) {
  const std::vector<BenchServeArgs> loads = loads_of(args);
  std::vector<Outcome> out(loads.size());
  if (!args.url.empty()) {
    for (size_t i = 0; i < loads.size(); ++i) put_load(s, loads[i], args.url, &out[i]);
    return out;
  }
  const int64_t tokens = load::parse_length_range(args.output, "--output-len").most;
  const Model model = model_of(s, args);
  const ServiceOptions service = service_options(s, loads);
  const auto decode_all = [&](Engine* engine) {
    for (size_t i = 0; i < loads.size() && !args.no_offline; ++i) {
      const bool known = i > 0 && loads[i].at_a_time() == loads[i - 1].at_a_time();
      if (loads[i].at_a_time() == 0) continue;
      const std::vector<double> samples = known ? std::vector<double>{} : offline_decode(engine, loads[i], tokens);
      out[i].offline.insert(out[i].offline.end(), samples.begin(), samples.end());
      if (known) out[i].offline = out[i - 1].offline;
    }
  };
  {
    Engine engine(model, Service::engine_options(service));
    decode_all(&engine);
    const OwnServer server(service, args, std::move(engine));
    for (size_t i = 0; i < loads.size(); ++i) put_load(s, loads[i], server.address(), &out[i]);
  }
  if (s.common.device == "cpu") {
    Engine engine(model, Service::engine_options(service));
    decode_all(&engine);
  }
  return out;
}

void put(Json* json, const char* name, const load::Distribution& d) {
  json->key(name).open_object().field("count", static_cast<int64_t>(d.count)).field("mean", d.mean);
  json->field("median", d.median).field("p99", d.p99).field("max", d.max).close();
}

std::string outcome_json(const BenchServeArgs& args, const Outcome& o) {
  const load::LoadReport& r = o.report;
  Json json;
  json.open_object().field("version", QUAMBA2_VERSION).field("server", o.server).field("model", o.model);
  json.field("requests", args.requests).field("concurrency", args.at_a_time()).field("rate", args.rate);
  json.field("beside_rate", args.beside_rate)
      .field("input_len", args.input)
      .field("output_len", args.output)
      .field("seed", args.seed);
  json.field("successful", static_cast<int64_t>(r.good)).field("failed", static_cast<int64_t>(r.failed));
  json.key("failures").open_object();
  for (const auto& [why, count] : r.failures) json.field(why, static_cast<int64_t>(count));
  json.close().field("seconds", r.seconds).field("input_tokens", r.input_tokens);
  json.field("output_tokens", r.output_tokens).field("requests_per_second", r.requests_a_second());
  json.field("output_tokens_per_second", r.output_rate());
  put(&json, "ttft_seconds", r.first_token);
  put(&json, "tpot_seconds", r.per_token);
  put(&json, "itl_seconds", r.between);
  put(&json, "e2e_seconds", r.whole);
  put(&json, "beside_ttft_seconds", r.beside_first_token);
  put(&json, "health_seconds", r.health);
  json.field("health_failures", r.health_failures);
  json.key("window").open_object().field("seconds", r.window.seconds);
  json.field("streams", static_cast<int64_t>(r.window.streams)).field("tokens_per_second", r.window_rate());
  json.field("least_tokens", r.window.least).field("most_tokens", r.window.most).close();
  json.key("memory").open_array();
  for (const auto& [done, bytes] : r.memory)
    json.open_object().field("requests", static_cast<int64_t>(done)).field("resident_bytes", bytes).close();
  json.close();
  if (!o.offline.empty()) {
    json.field("offline_tokens_per_second", o.offline_median()).field("offline_samples", o.offline);
    json.field("of_offline", r.output_rate() / o.offline_median());
    json.field("window_of_offline", r.window_rate() / o.offline_median());
  }
  return json.close().text();
}

std::string outcome_text(const BenchServeArgs& args, const Outcome& o) {
  const load::LoadReport& r = o.report;
  std::string out = load::report_text(r, args.at_a_time(), args.rate);
  if (o.offline.empty()) return out;
  const double offline = o.offline_median();
  out += fmt::format("{} sequences decoded offline: {:.2f} tok/s; the server reaches {:.1f} %", args.at_a_time(),
                     offline, 100 * r.output_rate() / offline);
  if (r.window.seconds > 0) out += fmt::format(", {:.1f} % while all streams grow", 100 * r.window_rate() / offline);
  return out + "\n";
}

int bench_serve(Session& s, const BenchServeArgs& args) {
  check_arguments(args);
  const std::vector<BenchServeArgs> loads = loads_of(args);
  const std::vector<Outcome> outcomes = measure(s, args);
  std::string text;
  for (size_t i = 0; i < loads.size(); ++i) {
    if (s.common.json) {
      text += (i > 0 ? "," : "") + outcome_json(loads[i], outcomes[i]);
    } else {
      text += outcome_text(loads[i], outcomes[i]);
    }
  }
  s.out.write(s.common.json && loads.size() > 1 ? "[" + text + "]\n" : text);
  for (const Outcome& o : outcomes) {
    if (o.report.good + o.report.unfinished > 0) continue;
    throw Error(ErrorCode::kRuntime, "no request succeeded", o.server,
                o.report.failures.empty() ? "none was sent" : o.report.failures.begin()->first,
                "see the server's own messages");
  }
  return 0;
}

void add_load_options(CLI::App* verb, BenchServeArgs* args) {
  verb->add_option("--concurrency", args->concurrencies, "requests at a time (default 16); a list for several loads")
      ->option_text("LIST");
  verb->add_option("--rate", args->rate, "instead: requests a second, at random moments (Poisson)")
      ->option_text("R")
      ->check(CLI::Range(1e-3, 1e6));
  at_least(verb->add_option("--num-requests", args->requests, "how many in all (default 128)"), 1);
  at_least(verb->add_option("--rounds", args->rounds, "instead: so many times --concurrency"), 1);
  verb->add_option("--input-len", args->input, "tokens of random prompts: 128, or a range as 64-256 (default 128)")
      ->option_text("LENGTH");
  verb->add_option("--output-len", args->output, "tokens to generate, alike (default 128)")->option_text("LENGTH");
  verb->add_option("--prompts", args->prompts, "file with a prompt a line, instead of random ones")
      ->option_text("FILE");
  verb->add_option("--temperature", args->temperature, "of the requests (default 0: greedy)")
      ->option_text("T")
      ->check(CLI::Range(0.0, 100.0));
  at_least(verb->add_option("--seed", args->seed, "the same seed gives the same load (default 0)"), 0);
  verb->add_option("--patience", args->patience, "seconds without a byte until a request has failed (default 300)")
      ->option_text("S")
      ->check(CLI::Range(0.001, 1e6));
  at_least(verb->add_option("--memory-every", args->memory_every,
                            "ended requests between two looks at the server's memory (default 0: none)"),
           0);
  verb->add_option("--beside", args->besides, "prompts a second read beside each load, a token each (default 0)")
      ->option_text("LIST");
  at_least(verb->add_option("--beside-len", args->beside_length, "their tokens (default 2048)"), 1);
  verb->add_option("--max-time", args->most_seconds, "seconds after which what is under way is left (default 0: any)")
      ->option_text("S")
      ->check(CLI::Range(0.0, 1e6));
}

}  // namespace

void add_bench_serve_verb(Program* program, CLI::App* bench) {
  auto args = std::make_shared<BenchServeArgs>();
  CLI::App* verb = add_verb(program, bench, "serve", "Verbs", "measure a server under load", "",
                            kDevice | kThreads | kTokenizer | kJson);
  verb->add_option("MODEL", args->model, "model to serve on the loopback: a directory, or org/name");
  verb->add_option("--url", args->url, "instead: a server that runs, as http://127.0.0.1:8000")->option_text("URL");
  verb->add_option("--api-key", args->api_key, "key of that server (default: OPENAI_API_KEY)")->option_text("KEY");
  add_load_options(verb, args.get());
  const auto own = [&](CLI::Option* option) { return option->group("The server of MODEL"); };
  own(at_least(verb->add_option("--slots", args->slots, "texts that grow at a time (default: as --concurrency)"), 1));
  own(at_least(verb->add_option("--chunk", args->chunk, "tokens of a prompt read at a time (default 256)"), 1));
  own(verb->add_option("--random", args->random.shape, "instead of MODEL: random weights in a shape, as mamba2-2.7b")
          ->option_text("SHAPE"));
  own(verb->add_option("--recipe", args->quantize.recipe, "of the random model (default: BF16)")
          ->option_text("RECIPE"));
  own(repeated(verb->add_option("--without", args->quantize.without,
                                "leave an ingredient of the recipe out, as f16-state (again for more)")
                   ->option_text("NAME")));
  own(verb->add_flag("--no-offline", args->no_offline, "do not decode as many sequences without a server beside it"));
  verb->footer(
      "Example:\n  quamba2 bench serve mamba2-130m-w4a8 --concurrency 256 --num-requests 256\n"
      "  quamba2 bench serve --url http://127.0.0.1:8000 --rate 4 --input-len 64-512");
  set_action(program, verb, args, bench_serve);
}

}  // namespace quamba2::cli
