// SPDX-License-Identifier: Apache-2.0
#include "quant/pipeline.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "graph/part.h"
#include "quamba2/error.h"
#include "quant/device_gptq.h"
#include "quant/edit.h"
#include "quant/roles.h"
#include "quant/run_pass.h"

namespace quamba2 {
namespace {

constexpr Fact kFacts[] = {Fact::kNormsFolded, Fact::kResidualRotated, Fact::kClustered,   Fact::kInnerRotated,
                           Fact::kFormats,     Fact::kRanges,          Fact::kActivations, Fact::kEncoded};

const Pass* find_pass(const Recipe& recipe, const std::string& name) {
  for (const Pass& pass : recipe.passes) {
    if (pass.name == name) return &pass;
  }
  std::string known;
  for (const Pass& pass : recipe.passes) known += (known.empty() ? "" : ", ") + pass.name;
  throw Error(ErrorCode::kUsage, "unknown pass " + name, recipe.name, "the recipe has no pass of this name",
              "its passes are " + known);
}

// The passes that run for this model: without those that are skipped or do not apply, up to the last one asked for.
std::vector<const Pass*> applicable(const Recipe& recipe, const ModelData& source, const PipelineOptions& options,
                                    bool verbose) {
  std::vector<const Pass*> out;
  if (!options.stop_after.empty()) find_pass(recipe, options.stop_after);
  for (const std::string& name : options.skip) {
    const Pass* pass = find_pass(recipe, name);
    if (pass->keeps_function || pass->name == "gptq") continue;
    throw Error(ErrorCode::kUsage, "pass " + name + " cannot be skipped", recipe.name, "later passes are built on it",
                "only passes that keep the function, and gptq, can be left out");
  }
  for (const Pass& pass : recipe.passes) {
    const bool skipped = std::find(options.skip.begin(), options.skip.end(), pass.name) != options.skip.end();
    const std::string why = skipped ? "as asked" : pass.left_out ? pass.left_out(source) : "";
    if (why.empty()) out.push_back(&pass);
    if (!why.empty() && verbose) log(LogLevel::kInfo, "pass " + pass.name + " is left out: " + why);
    if (pass.name == options.stop_after) break;
  }
  return out;
}

// A fact that no pass of the recipe could give for this model is not asked for.
void check_order(const Recipe& recipe, const std::vector<const Pass*>& passes, const PipelineOptions& options) {
  Facts have = 0;
  for (const Pass* pass : passes) {
    for (Fact fact : kFacts) {
      const auto bit = static_cast<Facts>(fact);
      if (!(pass->needs & bit) || (have & bit)) continue;
      std::string giver;
      for (const Pass& other : recipe.passes) {
        const bool runs = std::find(passes.begin(), passes.end(), &other) != passes.end();
        const bool skipped = std::find(options.skip.begin(), options.skip.end(), other.name) != options.skip.end();
        if ((other.gives & bit) && (runs || skipped)) giver = other.name;
      }
      const bool optional = fact == Fact::kClustered;  // what takes its place is a scale for everything
      if (optional && giver.empty()) continue;
      if (optional && std::find(options.skip.begin(), options.skip.end(), giver) != options.skip.end()) continue;
      throw Error(
          ErrorCode::kUsage, "pass " + pass->name + " cannot run", recipe.name,
          "it needs " + fact_text(fact) + ", which is missing or stale",
          giver.empty() ? "no pass of this recipe gives it" : "pass " + giver + " gives it and has to run before");
    }
    have = (have & ~pass->stales) | pass->gives;
  }
}

// Files hold small parameters as the checkpoint did: they are widened, and shaped, as the emission does.
Weight as_in_memory(const Weight& finished, const Weight& like) {
  Weight out = finished;
  if (finished.format.levels == 0 && like.values.dtype() == DType::kF32) {
    out.stored = like.stored;
    out.values = Tensor::from(like.values.shape(), to_floats(finished.values));
    out.format = {};
  } else if (finished.values.shape() != like.values.shape()) {
    out.values = finished.values.reinterpreted(finished.values.dtype(), like.values.shape());
  }
  return out;
}

// A norm's bias that went into a linear without one is a weight that the source does not have.
void add_folded_biases(const Artifact& finished, Graph* graph) {
  for (Node& node : graph->nodes) {
    if (node.op != Op::kLinear || node.weights[1] != kNone) continue;
    const auto at = finished.weights.find(bias_name(graph->weights[static_cast<size_t>(node.weights[0])].name));
    if (at == finished.weights.end()) continue;
    node.weights[1] = static_cast<int32_t>(graph->weights.size());
    graph->weights.push_back(at->second);
  }
}

class Run {
 public:
  Run(const Recipe& recipe, const ModelData& source, Calibration* calibration, const PipelineOptions& options,
      std::vector<PassReport>* reports)
      : source_(source), calibration_(calibration), options_(options), reports_(reports) {
    passes_ = applicable(recipe, source, options, true);
    check_order(recipe, passes_, options);
  }

  Artifact all() {
    const Graph& graph = source_.graph;
    if (const DeviceCalibration* device = calibration_->device())
      require_memory(graph, calibration_->tokens(), device->backend());
    if (!calibration_->empty()) calibration_->start(graph.weights[static_cast<size_t>(graph.nodes[0].weights[0])]);
    Artifact out;
    const int64_t parts = part_count(source_.n_layer);
    ProgressScope progress("quantizing", parts);
    calibration_->set_poll([&progress] { progress.advance(0); });
    for (int64_t i = 0; i < parts; ++i) {
      Artifact part;
      if (options_.store && options_.store->restore(i, &part)) {
        log(LogLevel::kInfo, part_name(i) + " is finished already");
        follow(i, part);
      } else {
        part = one(i);
        if (options_.store) options_.store->keep(i, &part);
      }
      merge(std::move(part), &out);
      progress.advance();
    }
    calibration_->set_poll({});
    return out;
  }

 private:
  std::string part_name(int64_t i) const { return i == source_.n_layer ? "head" : "layer " + std::to_string(i); }

  Artifact one(int64_t index) {
    QuantPart part;
    part.index = index;
    part.head = index == source_.n_layer;
    part.tied = source_.tied;
    part.graph = part_of(source_.graph, source_.n_layer, index);
    const Graph original = part.graph;
    Peaks peaks = part.head ? Peaks() : calibration_->peaks(part.graph, false);
    Graph in_float;  // as the passes that keep the function leave it
    for (const Pass* pass : passes_) {
      if (pass->name == "set_formats") in_float = part.graph;
      report(run_pass(*pass, &part, calibration_, &peaks));
    }
    finish(in_float, &part);
    for (const Weight& weight : original.weights) weight.values.release_pages();
    return artifact_of(part.graph, part.transforms);
  }

  // Measures what the part lost, and moves the stream behind it.
  void finish(const Graph& in_float, QuantPart* part) {
    if (calibration_->empty()) return;
    const auto start = std::chrono::steady_clock::now();
    PassReport line{part->name(), "finished", 0, "", -1, {}};
    if (!in_float.nodes.empty() && !part->head) {
      line.error = calibration_->relative_error(in_float, part->graph, part->head);
      line.detail = "relative output error " + small_number(line.error);
    }
    if (!part->head) calibration_->advance(part->graph);
    line.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    report(line);
  }

  // A restored part only moves the stream: with the same bits as when it was made.
  void follow(int64_t index, const Artifact& finished) {
    if (calibration_->empty()) return;
    if (finished.transforms.residual && !calibration_->rotated()) calibration_->rotate();
    if (index == source_.n_layer) return;
    Graph graph = part_of(source_.graph, source_.n_layer, index);
    if (finished.transforms.inner) insert_inner_rotation(&graph);
    if (finished.transforms.x_proj_row) insert_x_proj_row(&graph);
    for (Weight& weight : graph.weights) weight = as_in_memory(finished.weights.at(weight.name), weight);
    add_folded_biases(finished, &graph);
    for (Edge& edge : graph.edges) {
      const auto at = finished.edges.find(edge.name);
      if (at != finished.edges.end()) edge.encoding = at->second;
    }
    for (State& state : graph.states) {
      const auto at = finished.states.find(state.name);
      if (at != finished.states.end()) state.encoding = at->second;
    }
    calibration_->advance(graph);
  }

  void report(const PassReport& line) {
    log_line(line);
    if (reports_) reports_->push_back(line);
  }

  const ModelData& source_;
  Calibration* calibration_;
  const PipelineOptions& options_;
  std::vector<PassReport>* reports_;
  std::vector<const Pass*> passes_;
};

}  // namespace

std::string fact_text(Fact fact) {
  switch (fact) {
    case Fact::kNormsFolded: return "folded norms";
    case Fact::kResidualRotated: return "a rotated residual stream";
    case Fact::kClustered: return "clustered channels";
    case Fact::kInnerRotated: return "rotated inner channels";
    case Fact::kFormats: return "target formats";
    case Fact::kRanges: return "calibrated ranges";
    case Fact::kActivations: return "encoded activations";
    case Fact::kEncoded: return "encoded weights";
  }
  return "?";
}

Artifact run_recipe(const Recipe& recipe, const ModelData& source, Calibration* calibration,
                    const PipelineOptions& options, std::vector<PassReport>* reports) {
  Artifact out = Run(recipe, source, calibration, options, reports).all();
  out.recipe = options.stop_after.empty() ? recipe.name : "";
  return out;
}

bool needs_text(const Recipe& recipe, const ModelData& source, const PipelineOptions& options) {
  for (const Pass* pass : applicable(recipe, source, options, false)) {
    if (pass->needs_text) return true;
  }
  return false;
}

}  // namespace quamba2
