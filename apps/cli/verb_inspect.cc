// SPDX-License-Identifier: Apache-2.0
// inspect: what a model is made of. explain: which kernels run it.
#include <fmt/format.h>

#include "cli.h"
#include "json.h"
#include "table.h"
#include "units.h"

namespace quamba2::cli {
namespace {

struct InspectOptions {
  std::string model;
};

double share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string inspect_json(const Model& m) {
  Json json;
  json.open_object().field("name", m.name()).field("family", m.family()).field("recipe", m.recipe());
  json.field("layers", m.layers()).field("d_model", m.d_model()).field("vocab_size", m.vocab_size());
  json.field("tied", m.tied()).field("parameters", m.parameters()).field("weight_bytes", m.weight_bytes());
  json.field("bf16_bytes", m.bf16_bytes()).field("state_bytes", m.state_bytes()).key("parts").open_array();
  for (const PartSize& p : m.parts()) {
    json.open_object().field("part", p.part).field("format", p.format).field("shape", p.shape);
    json.field("tensors", p.tensors).field("parameters", p.parameters).field("bytes", p.bytes).close();
  }
  return json.close().close().text();
}

std::string ratio(const Model& m) {
  const double times =
      static_cast<double>(m.bf16_bytes()) / static_cast<double>(std::max<uint64_t>(1, m.weight_bytes()));
  if (times >= 0.995 && times < 1.005) return "the same as BF16";
  return times > 1 ? fmt::format("{:.2f} times smaller than BF16 ({})", times, human_bytes(m.bf16_bytes()))
                   : fmt::format("{:.2f} times larger than BF16 ({})", 1 / times, human_bytes(m.bf16_bytes()));
}

int inspect(Session& s, const InspectOptions& options) {
  const Model m = Model::from_pretrained(options.model);
  if (s.common.json) {
    s.out.write(inspect_json(m));
    return 0;
  }
  const auto line = [&](const char* name, const std::string& text) {
    s.out.write(styled(s.terminal.output_colour, Style::kBold, fmt::format("{:<12}", name)) + text + "\n");
  };
  line("model", m.name());
  line("family", fmt::format("{}, {} layers, d_model {}, vocabulary {}, {} head", m.family(), m.layers(), m.d_model(),
                             grouped(m.vocab_size()), m.tied() ? "tied" : "separate"));
  line("recipe", m.recipe().empty() ? "none: not quantized" : m.recipe());
  line("parameters", human_count(m.parameters()));
  line("weights", human_bytes(m.weight_bytes()) + ", " + ratio(m));
  line("state", human_bytes(m.state_bytes()) + " a sequence, whatever its length");
  Table table;
  for (const char* title : {"part", "format", "shape"}) table.column(title);
  for (const char* title : {"tensors", "parameters", "bytes", "share"}) table.column(title, Align::kRight);
  for (const PartSize& p : m.parts()) {
    table.row({p.part, p.format, p.shape, grouped(p.tensors), grouped(p.parameters), human_bytes(p.bytes),
               fmt::format("{:.1f} %", share(p.bytes, m.weight_bytes()))});
  }
  s.out.write("\n" + table.aligned(s.terminal.output_colour));
  return 0;
}

int explain(Session& s, const InspectOptions& options) {
  const Engine engine = Engine::load(options.model, engine_options(s.common));
  if (s.common.json) {
    Json json;
    json.open_object().field("device", engine.description()).field("weight_bytes", engine.weight_bytes());
    json.field("state_bytes", engine.state_bytes()).field("explain", engine.explain());
    s.out.write(json.close().text());
    return 0;
  }
  s.out.write(engine.description() + "\n\n" + engine.explain());
  return 0;
}

}  // namespace

void add_inspect_verbs(Program* program) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* verb = add_verb(program, &program->root, "inspect", "Look", "show what a model is made of, and its size",
                            "quamba2 inspect mamba2-130m-w4a16", kJson);
  verb->add_option("MODEL", options->model, "model directory, weights file in one, or org/name")->required();
  set_action(program, verb, options, inspect);

  verb = add_verb(program, &program->root, "explain", "Look", "show which kernel runs where, and why",
                  "quamba2 explain mamba2-130m-w4a16 --threads 2", kDevice | kThreads | kJson);
  verb->add_option("MODEL", options->model, "model directory, weights file in one, or org/name")->required();
  set_action(program, verb, options, explain);
}

}  // namespace quamba2::cli
