// SPDX-License-Identifier: Apache-2.0
#include "backend/plan.h"

#include <algorithm>

#include "backend/bind.h"
#include "backend/buffers.h"
#include "backend/device_weights.h"
#include "backend/fuse.h"
#include "base/check.h"
#include "base/log.h"
#include "quamba2/error.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

template <class Args>
void run_step(const Step& step, const Stream& stream) {
  static_cast<const Kernel<Args>*>(step.row)->run(std::get<Args>(step.args), stream);
}

// The first row of the table that takes these arguments; the refusals of better ones are kept for `explain`.
bool select_kernel(const KernelTable& table, Step* step) {
  step->refused.clear();
  return std::visit(
      [&](const auto& args) {
        using Args = std::decay_t<decltype(args)>;
        const KernelRows<Args> rows = rows_of(table, args);
        for (int32_t i = 0; i < rows.count; ++i) {
          const Kernel<Args>& row = rows.rows[i];
          const Verdict verdict = row.supports(args);
          if (verdict.refusal) {
            step->refused.push_back({row.name, verdict.refusal});
            continue;
          }
          step->row = &row;
          step->kernel = row.name;
          step->run = run_step<Args>;
          return true;
        }
        return false;
      },
      step->args);
}

TensorView words(void* data, int32_t rows, size_t bytes) {
  TensorView v;
  v.data = data;
  v.dtype = DType::kI32;
  v.rank = bytes == 4 ? 1 : 2;
  v.dim[0] = rows, v.dim[1] = static_cast<int32_t>(bytes / 4);
  v.stride[0] = v.dim[1], v.stride[1] = 1;
  return v;
}

// Where a device has kernels that choose tokens from logits of selected rows, and feed them to the next call.
void bind_choice(const Backend& backend, Plan* plan) {
  const EdgeId logits = plan->graph.logits;
  if (!plan->device || logits == kNone || plan->graph.edges[static_cast<size_t>(logits)].rows != RowKind::kSelected)
    return;
  const int32_t rows = plan->limits.max_selected;
  const TensorView chosen = words(plan->chosen.data(), rows, 4);
  plan->choose.args =
      ChooseTokenArgs{plan->edges[static_cast<size_t>(logits)], words(plan->rules.data(), rows, sizeof(TokenRule)),
                      chosen, words(plan->ids.data(), rows, 4)};
  plan->choose.rows = RowKind::kSelected;
  plan->follow.args = FollowTokensArgs{words(plan->ids.data(), plan->limits.max_tokens, 4), chosen};
  if (!select_kernel(backend.table(), &plan->choose) || !select_kernel(backend.table(), &plan->follow))
    plan->choose.run = nullptr;
}

// A float copy of an edge, behind or in front of a convert.
EdgeId add_float_edge(Graph* graph, EdgeId like) {
  Edge e = graph->edges[static_cast<size_t>(like)];
  e.name += ".f32";
  e.encoding = {};
  e.parent = kNone;
  e.slice = Slice::kWhole;
  e.begin = 0;
  graph->edges.push_back(e);
  return static_cast<EdgeId>(graph->edges.size() - 1);
}

// A float part in the place of `part`, which becomes an edge of its own.
EdgeId replace_part(Graph* graph, EdgeId part) {
  const EdgeId copy = add_float_edge(graph, part);
  Edge& to = graph->edges[static_cast<size_t>(copy)];
  Edge& from = graph->edges[static_cast<size_t>(part)];
  std::swap(to.parent, from.parent);
  std::swap(to.slice, from.slice);
  std::swap(to.begin, from.begin);
  return copy;
}

bool is_encoded(const Graph& graph, EdgeId edge) {
  return graph.edges[static_cast<size_t>(edge)].encoding.format.levels > 0;
}

Node convert_node(std::string name, EdgeId from, EdgeId to) {
  return {Op::kConvert, std::move(name), {from}, to, {}, kNone, {}};
}

// A convert that encodes `edge` from `copy`.
Node encode_node(const Graph& graph, EdgeId copy, EdgeId edge) {
  return convert_node(graph.edges[static_cast<size_t>(edge)].name + ".encode", copy, edge);
}

// Makes node `index` write floats where it should write rows with a scale each (kernels that write parts or columns of
// a row do not see all of it), with converts behind it. False where there is nothing to do.
bool convert_dynamic_outputs(Graph* graph, size_t index) {
  const auto is_dynamic = [&](EdgeId e) { return graph->edges[static_cast<size_t>(e)].encoding.format.dynamic; };
  std::vector<Node> after;
  const EdgeId output = graph->nodes[index].output;
  const std::vector<EdgeId> parts = graph->children(output, Slice::kPart);
  for (EdgeId part : parts) {
    if (is_dynamic(part)) after.push_back(encode_node(*graph, replace_part(graph, part), part));
  }
  if (parts.empty() && is_dynamic(output)) {
    const EdgeId copy = add_float_edge(graph, output);
    graph->nodes[index].output = copy;
    after.push_back(encode_node(*graph, copy, output));
  }
  graph->nodes.insert(graph->nodes.begin() + static_cast<ptrdiff_t>(index) + 1, after.begin(), after.end());
  return !after.empty();
}

// Rewrites node `index` to work on floats, with converts around it. Gives the number of nodes put in front of it.
int bracket_with_converts(Graph* graph, size_t index) {
  Node node = graph->nodes[index];
  std::vector<Node> before, after;
  for (EdgeId& input : node.inputs) {
    if (!is_encoded(*graph, input)) continue;
    const EdgeId copy = add_float_edge(graph, input);
    before.push_back(convert_node(graph->edges[static_cast<size_t>(copy)].name, input, copy));
    input = copy;
  }
  if (graph->children(node.output, Slice::kPart).empty() && is_encoded(*graph, node.output)) {
    const EdgeId copy = add_float_edge(graph, node.output);
    after.push_back(encode_node(*graph, copy, node.output));
    node.output = copy;
  }
  auto at = graph->nodes.begin() + static_cast<ptrdiff_t>(index);
  *at = node;
  graph->nodes.insert(at + 1, after.begin(), after.end());
  graph->nodes.insert(graph->nodes.begin() + static_cast<ptrdiff_t>(index), before.begin(), before.end());
  return static_cast<int>(before.size());
}

[[noreturn]] void no_kernel(const Backend& backend, const Node& node, const Step& step) {
  std::string why;
  for (const Refusal& r : step.refused) why += (why.empty() ? "" : ", ") + r.kernel + " " + r.reason;
  throw Error(ErrorCode::kModelFile, "no kernel for " + std::string(name_of(node.op)), node.name,
              why.empty() ? "the back end has none" : why,
              "use another device or recipe (" + backend.description() + ")");
}

// Chooses a kernel for every node, rewriting plan->graph where converts are needed.
void select_kernels(const Backend& backend, Plan* plan) {
  for (size_t i = 0; i < plan->graph.nodes.size(); ++i) {
    Step step;
    bool bracketed = false;
    while (true) {
      const ShapesOnly shapes(plan->graph, plan->limits, backend.float_type());
      step.args = bind(plan->graph, plan->graph.nodes[i], shapes);
      if (select_kernel(backend.table(), &step)) break;
      if (convert_dynamic_outputs(&plan->graph, i)) continue;
      if (bracketed) no_kernel(backend, plan->graph.nodes[i], step);
      const int before = bracket_with_converts(&plan->graph, i);
      bracketed = true;
      if (before > 0) log(LogLevel::kDebug, plan->graph.nodes[i].name + " runs in f32 between converts");
      // The converts in front are nodes of their own: choose theirs first.
      for (int k = 0; k < before; ++k, ++i) {
        Step convert;
        convert.node = static_cast<int32_t>(i);
        const ShapesOnly now(plan->graph, plan->limits, backend.float_type());
        convert.args = bind(plan->graph, plan->graph.nodes[i], now);
        if (!select_kernel(backend.table(), &convert)) no_kernel(backend, plan->graph.nodes[i], convert);
        plan->steps.push_back(std::move(convert));
      }
    }
    step.node = static_cast<int32_t>(i);
    plan->steps.push_back(std::move(step));
  }
}

// Binds a chosen step to memory.
void bind_step(const Plan& plan, const Memory& memory, Step* step) {
  const Node& node = plan.graph.nodes[static_cast<size_t>(step->node)];
  step->rows = plan.graph.edges[static_cast<size_t>(node.output)].rows;
  step->args = bind(plan.graph, node, memory);
}

// What the kernel of a step asks for; shapes are enough.
size_t scratch_bytes(const Step& step, int32_t threads) {
  return std::visit(
      [&](const auto& args) -> size_t {
        using Args = std::decay_t<decltype(args)>;
        const auto* row = static_cast<const Kernel<Args>*>(step.row);
        return row->scratch_bytes ? row->scratch_bytes(args, threads) : 0;
      },
      step.args);
}

template <class Args>
void prepare_weight(Plan* plan, const Stream& stream, Step* step, Args* args) {
  const auto* row = static_cast<const Kernel<Args>*>(step->row);
  if constexpr (std::is_same_v<Args, EmbedArgs>) {
    return;  // see share_tables
  } else if constexpr (requires { args->prepared; }) {
    if (!row->prepare) return;
    const int32_t weight = plan->graph.nodes[static_cast<size_t>(step->node)].weights[0];
    Prepared& held = plan->prepared[{weight, row}];
    if (held.data == nullptr) {
      held.bytes = row->prepared_bytes(*args);
      held.data = plan->prepared_memory.take(std::max<size_t>(held.bytes, 1));
      row->prepare(*args, held.data, stream);
      plan->weight_bytes += held.bytes;
      plan->graph.weights[static_cast<size_t>(weight)].values.release_pages();
    }
    args->prepared = held.data;
  }
}

// An embedding whose table is also a prepared linear weight is read from there, so that it is in memory once.
void share_tables(Plan* plan) {
  for (Step& step : plan->steps) {
    auto* embed = std::get_if<EmbedArgs>(&step.args);
    if (!embed) continue;
    const int32_t table = plan->graph.nodes[static_cast<size_t>(step.node)].weights[0];
    for (const Step& other : plan->steps) {
      const auto* linear = std::get_if<LinearArgs>(&other.args);
      if (!linear || plan->graph.nodes[static_cast<size_t>(other.node)].weights[0] != table) continue;
      const auto* row = static_cast<const Kernel<LinearArgs>*>(other.row);
      if (!row->read_row || !linear->prepared) continue;
      embed->prepared = linear->prepared;
      embed->read_row = row->read_row;
    }
  }
}

void check_limits(const PlanLimits& limits) {
  const auto in_range = [](int32_t v, int32_t most) { return v >= 1 && v <= most; };
  if (in_range(limits.max_tokens, 1 << 20) && in_range(limits.max_selected, 1 << 20) &&
      in_range(limits.max_sequences, 1 << 16) && limits.state_every >= 0)
    return;
  throw Error(ErrorCode::kUsage, "limit out of range", "",
              "tokens " + std::to_string(limits.max_tokens) + ", logits rows " + std::to_string(limits.max_selected) +
                  ", sequences " + std::to_string(limits.max_sequences) + ", tokens between roundings of the state " +
                  std::to_string(limits.state_every),
              "choose smaller, positive values");
}

}  // namespace

std::unique_ptr<Plan> make_plan(const Graph& graph, const Backend& backend, const PlanLimits& limits) {
  check_limits(limits);
  auto plan = std::make_unique<Plan>();
  plan->graph = graph;
  plan->limits = limits;
  // Taps want every edge; the reference, in double, is what merged kernels are compared with.
  if (!limits.keep_edges && backend.float_type() == DType::kF32)
    fuse(&plan->graph, backend.table(), limits, backend.float_type());
  select_kernels(backend, plan.get());
  verify(plan->graph);
  plan->device = backend.device();
  const Stream stream = backend.stream();
  const size_t on_device = plan->device ? device_weight_bytes(*plan) : 0;
  size_t scratch = 64;
  for (const Step& step : plan->steps) scratch = std::max(scratch, scratch_bytes(step, stream.threads));
  allocate(plan.get(), backend.float_type(), on_device, scratch);
  const Allocated memory(*plan);
  for (Step& step : plan->steps) {
    bind_step(*plan, memory, &step);
    QUAMBA2_CHECK(scratch_bytes(step, stream.threads) <= scratch, "scratch depends on addresses");
  }
  if (plan->device) {
    bind_choice(backend, plan.get());
    upload_weights(plan.get(), stream, on_device);
    return plan;
  }
  Stream preparing = stream;
  preparing.scratch = static_cast<char*>(plan->scratch.data());
  for (Step& step : plan->steps) {
    std::visit([&](auto& args) { prepare_weight(plan.get(), preparing, &step, &args); }, step.args);
  }
  share_tables(plan.get());
  return plan;
}

}  // namespace quamba2
