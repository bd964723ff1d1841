// SPDX-License-Identifier: Apache-2.0
// bench: speed against what the machine allows, in llama-bench's table.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli.h"
#include "interrupt.h"
#include "json.h"
#include "number_list.h"
#include "suggest.h"
#include "table.h"
#include "units.h"

namespace quamba2::cli {
namespace {

struct BenchArgs {
  std::string model, prompts = "512", generations = "128", batches = "1", threads, format = "md";
  int repetitions = 5;
  bool no_warm_up = false, profile = false, logits = false;
  RandomModelOptions random = {.shape = ""};
  QuantizeOptions quantize = {.recipe = ""};
};

// A row, and what it was measured with.
struct Measured {
  BenchRow row;
  int threads = 0;
  int64_t batch = 1;
};

std::vector<int64_t> without_zero(std::vector<int64_t> list) {
  list.erase(std::remove(list.begin(), list.end(), 0), list.end());
  return list;
}

// A working set that a cache holds is faster than memory: then both shares are of interest.
std::string share_of_ceiling(const BenchRow& row) {
  if (row.ceiling <= 0) return "-";
  std::string out = fmt::format("{:.0f} %", 100 * row.share);
  if (row.memory_ceiling > 0 && row.memory_ceiling < 0.8 * row.ceiling) {
    out += fmt::format(" (memory {:.0f} %)", 100 * row.memory_share);
  }
  return out;
}

std::string model_text(const Model& m) {
  return fmt::format("{} {} {}", m.family(), human_count(m.parameters()), m.recipe().empty() ? "plain" : m.recipe());
}

// How many times faster than the same test on the fewest threads.
std::string scaling_text(const Measured& m, const std::vector<Measured>& all) {
  const Measured* base = &m;
  for (const Measured& other : all) {
    if (other.row.test == m.row.test && other.batch == m.batch && other.threads < base->threads) base = &other;
  }
  return base == &m ? "-" : fmt::format("{:.2f}x of {}", m.row.mean / base->row.mean, base->threads);
}

Table make_table(const BenchArgs& args, const Model& model, const std::string& device,
                 const std::vector<Measured>& all) {
  const bool show_batch = std::any_of(all.begin(), all.end(), [](const Measured& m) { return m.batch != 1; });
  const bool show_scaling =
      std::any_of(all.begin(), all.end(), [&](const Measured& m) { return m.threads != all.front().threads; });
  const auto decodes = [](const BenchRow& row) { return row.test.starts_with("tg"); };
  Table table;
  table.column("model");
  for (const char* title : {"size", "params"}) table.column(title, Align::kRight);
  table.column("backend");
  table.column("threads", Align::kRight);
  if (show_batch) table.column("batch", Align::kRight);
  table.column("test");
  table.column("t/s", Align::kRight);
  if (show_scaling) table.column("scaling", Align::kRight);
  table.column("of ceiling", Align::kRight);
  table.column("ceiling");
  if (show_batch) table.column("MB a token", Align::kRight);
  for (const Measured& m : all) {
    std::vector<std::string> cells = {model_text(model), binary_bytes(model.weight_bytes()),
                                      human_count(model.parameters()), device == "cpu" ? "CPU" : device,
                                      fmt::format("{}", m.threads)};
    if (show_batch) cells.push_back(fmt::format("{}", m.batch));
    cells.insert(cells.end(), {m.row.test, fmt::format("{:.2f} ± {:.2f}", m.row.mean, m.row.deviation)});
    if (show_scaling) cells.push_back(scaling_text(m, all));
    cells.insert(cells.end(), {share_of_ceiling(m.row), m.row.ceiling_text});
    if (show_batch) cells.push_back(decodes(m.row) ? fmt::format("{:.1f}", m.row.work / 1e6) : "-");
    table.row(cells);
  }
  return table;
}

// Where the time goes; one table for the tests of one engine.
std::string profile_table(const BenchReport& report) {
  std::map<std::string, double> whole;
  for (const KernelTime& k : report.kernels) whole[k.test] += k.seconds;
  Table table;
  for (const char* title : {"test", "op", "kernel"}) table.column(title);
  for (const char* title : {"steps", "us", "share", "GB/s", "of memory"}) table.column(title, Align::kRight);
  for (const KernelTime& k : report.kernels) {
    const double rate = k.seconds > 0 ? k.bytes / k.seconds : 0;
    table.row({k.test, k.op, k.kernel, fmt::format("{}", k.steps), fmt::format("{:.0f}", 1e6 * k.seconds),
               fmt::format("{:.1f} %", 100 * k.seconds / whole[k.test]),
               rate > 0 ? fmt::format("{:.1f}", rate / 1e9) : "-",
               rate > 0 ? fmt::format("{:.0f} %", 100 * rate / report.memory_bandwidth) : "-"});
  }
  return table.markdown();
}

std::string rows_json(const Model& model, const BenchReport& report, const std::string& description,
                      const std::vector<Measured>& all, bool lines) {
  std::string out;
  Json whole(lines);
  if (!lines) whole.open_array();
  for (const Measured& m : all) {
    Json line(true);
    Json& json = lines ? line : whole;
    json.open_object().field("version", QUAMBA2_VERSION).field("machine", report.machine);
    json.field("engine", description).field("model", model.name()).field("family", model.family());
    json.field("recipe", model.recipe()).field("weight_bytes", model.weight_bytes());
    json.field("parameters", model.parameters()).field("threads", m.threads).field("batch", m.batch);
    json.field("test", m.row.test).field("tokens_per_second", m.row.mean).field("deviation", m.row.deviation);
    json.field("samples", m.row.samples).field("ceiling", m.row.ceiling).field("ceiling_text", m.row.ceiling_text);
    json.field("share", m.row.share).field("memory_share", m.row.memory_share);
    json.field("work_per_token", m.row.work).field("read_bandwidth", report.read_bandwidth);
    json.field("memory_bandwidth", report.memory_bandwidth);
    json.field("fma_peak", report.fma_peak).field("int8_peak", report.int8_peak).close();
    if (lines) out += line.text();
  }
  return lines ? out : whole.close().text();
}

Model model_of(Session& s, const BenchArgs& args) {
  if (args.model.empty() == args.random.shape.empty()) {
    throw Error(ErrorCode::kUsage, args.model.empty() ? "no model" : "two models", "bench",
                "it measures one: a MODEL, or one of random weights", "give MODEL or --random SHAPE");
  }
  if (args.random.shape.empty()) {
    if (!args.quantize.recipe.empty() || !args.quantize.without.empty() || args.random.layers > 0) {
      throw Error(ErrorCode::kUsage, "options of random models", "bench",
                  "--recipe, --without and --layers do not change a MODEL", "quantize it first, or use --random");
    }
    return Model::from_pretrained(args.model);
  }
  QuantizeOptions quantize = args.quantize;
  quantize.threads = thread_count(s.common);
  return make_random_model(args.random, quantize);
}

int bench_verb(Session& s, const BenchArgs& args) {
  BenchOptions options;
  options.prompts = without_zero(parse_number_list(args.prompts, "--n-prompt"));
  options.generations = without_zero(parse_number_list(args.generations, "--n-gen"));
  options.repetitions = args.repetitions;
  options.warm_up = !args.no_warm_up;
  options.profile = args.profile;
  options.logits = args.logits;
  const std::vector<int64_t> batches = without_zero(parse_number_list(args.batches, "--batch"));
  const std::vector<int64_t> threads = args.threads.empty() ? std::vector<int64_t>{thread_count(s.common)}
                                                            : parse_number_list(args.threads, "--threads");
  if (batches.empty()) refuse_number_list("--batch", args.batches);
  const Model model = model_of(s, args);
  std::vector<Measured> all;
  BenchReport report;
  std::string description, profiles;
  for (const int64_t t : threads) {
    for (const int64_t b : batches) {
      EngineOptions engine_of = engine_options(s.common);
      engine_of.threads = static_cast<int>(t);
      engine_of.max_sequences = static_cast<int>(b);
      Engine engine(model, engine_of);
      description = engine.description();
      options.batch = static_cast<int>(b);
      report = bench(engine, options);
      if (args.profile)
        profiles += fmt::format("\nthreads {}, batch {}\n\n", engine.threads(), b) + profile_table(report);
      for (BenchRow& row : report.rows) all.push_back({std::move(row), engine.threads(), b});
      if (interrupted()) throw Error(ErrorCode::kInterrupted, "interrupted", "", "");
    }
  }
  const std::string format = s.common.json ? "json" : args.format;
  if (format == "json" || format == "jsonl") {
    s.out.write(rows_json(model, report, description, all, format == "jsonl"));
    return 0;
  }
  const Table table = make_table(args, model, s.common.device, all);
  s.out.write(format == "csv" ? table.csv() : table.markdown() + profiles);
  s.progress.note((report.machine == description ? description : report.machine + "; " + description) +
                  "; ceilings measured in this run");
  return 0;
}

}  // namespace

void add_bench_verb(Program* program) {
  auto args = std::make_shared<BenchArgs>();
  CLI::App* verb = add_verb(program, &program->root, "bench", "Measure", "measure speed against the machine's ceiling",
                            "quamba2 bench mamba2-130m-w4a16 -p 128,512 -n 128 -t 1,2", kDevice | kJson);
  verb->add_option("MODEL", args->model, "model directory, weights file in one, or org/name");
  verb->add_option("--random", args->random.shape, "instead: random weights in a shape, as mamba2-2.7b (see 'random')")
      ->option_text("SHAPE");
  verb->add_option("--recipe", args->quantize.recipe, "of the random model (default: BF16)")->option_text("RECIPE");
  repeated(verb->add_option("--without", args->quantize.without,
                            "leave an ingredient of the recipe out, as f16-state (again for more)")
               ->option_text("NAME"));
  at_least(verb->add_option("--layers", args->random.layers, "of the random model (default 0: all)"), 0);
  verb->add_option("-p,--n-prompt", args->prompts, "prompt lengths (default 512; 0: none)")->option_text("LIST");
  verb->add_option("-n,--n-gen", args->generations, "tokens to generate (default 128; 0: none)")->option_text("LIST");
  verb->add_option("-b,--batch", args->batches, "sequences decoded together (default 1)")->option_text("LIST");
  verb->add_option("-t,--threads", args->threads, "threads (default: OMP_NUM_THREADS, else all)")->option_text("LIST");
  at_least(verb->add_option("-r,--repetitions", args->repetitions, "times that each test runs (default 5)"), 1);
  one_of(verb->add_option("-o,--format", args->format, "of the output (default md)"), {"md", "csv", "json", "jsonl"});
  verb->add_flag("--profile", args->profile, "one more run of each test, timed kernel by kernel (table only)");
  verb->add_flag(
      "--logits", args->logits,
      "decode: bring all logits to the host, as penalties and logprobs need (default on a GPU: it chooses the "
      "likeliest tokens and reads them next)");
  verb->add_flag("--no-warmup", args->no_warm_up, "measure the first run too");
  verb->footer(
      "Example:\n  quamba2 bench mamba2-130m-w4a16 -p 128,512 -n 128 -t 1,2\n\n"
      "LIST is 128,512, or a range as 128-512+128 or 1-8*2; lists multiply.");
  set_action(program, verb, args, bench_verb);
  add_bench_serve_verb(program, verb);
}

}  // namespace quamba2::cli
