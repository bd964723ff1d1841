// SPDX-License-Identifier: Apache-2.0
// Formats that no recipe need have chosen, on small models of every family: scales a row that are computed as they are
// written, dynamic states, static states with scales along N, two-level weights. CPU levels against the reference on the
// same packed bits; saved, loaded, and the same bits again.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "api/load_model.h"
#include "backend/executor.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/table.h"
#include "backends/reference/reference.h"
#include "base/file.h"
#include "graph/builder.h"
#include "io/artifact.h"
#include "quamba2/error.h"
#include "quant/pipeline.h"
#include "quant/recipe.h"
#include "support/model_runs.h"
#include "support/paths.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

using testing::random_ids;
using testing::run_model;

const char* const kModels[] = {"mamba1-pickle", "mamba2-hf", "mamba2-groups4-odd", "mamba2-dssm-nonorm",
                               "falcon-mamba"};

ModelData quantized(const std::string& name, const std::string& recipe) {
  const ModelData model = load_model(testing::source_path("tests/golden/" + name));
  std::vector<std::vector<int32_t>> windows;
  for (uint64_t s = 0; s < 4; ++s) windows.push_back(random_ids(64, model.vocab_size, s));
  Calibration calibration(make_cpu_backend(1), windows);
  RecipeOptions options;
  options.ingredients = find_recipe(recipe).paper;  // its scales are static
  options.ingredients.gptq = false;
  options.table_bits = 8;
  return assemble(run_recipe(find_recipe(recipe).make(options, model), model, &calibration, {}), model.config,
                  model.directory);
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Encoding dynamic(Grain grain) {
  Encoding e;
  e.format.storage = DType::kI8;
  e.format.levels = 1;
  e.format.level[0].grain = grain;
  e.format.dynamic = true;
  return e;
}

// Inputs of linears, the scan's output, and two parts of what linears and convolutions write. Not the first norm's: rows of
// an INT8 table over their own maximum give exact ties.
void make_rows_dynamic(ModelData* model) {
  Graph& graph = model->graph;
  int changed = 0;
  for (size_t i = 0; i < graph.edges.size(); ++i) {
    Edge& edge = graph.edges[i];
    for (const char* role : {".u", ".gated", ".y", ".z", ".xbc", ".x", "dt_low"}) {
      const bool piece = edge.slice == Slice::kPiece || !graph.children(static_cast<EdgeId>(i), Slice::kPiece).empty();
      if (!ends_with(edge.name, role) || piece || edge.name == "layers.0.u") continue;
      edge.encoding = dynamic(Grain::kRow);
      ++changed;
    }
  }
  EXPECT_GT(changed, 4);
}

void make_states_dynamic(ModelData* model) {
  for (State& state : model->graph.states) {
    if (state.like == kNone) state.encoding = dynamic(Grain::kColumn);
  }
}

// The static scales of a state, each repeated along N and a little different there.
void spread_state_scales(ModelData* model) {
  for (State& state : model->graph.states) {
    if (state.like != kNone) continue;
    const std::vector<int64_t> shape(state.shape.begin(), state.shape.end());
    const int64_t states = shape[shape.size() - 2], width = shape.back();
    Tensor wide(DType::kF32, shape);
    for (int64_t i = 0; i < wide.elements(); ++i) {
      const int64_t n = i / width % states, channel = i / (width * states) * width + i % width;
      const bool has_all = state.encoding.scales.elements() == wide.elements();
      const float scale = state.encoding.scales.as<float>()[has_all ? i : channel];
      wide.as<float>()[i] = scale * (1.0f + 0.25f * static_cast<float>(n % 3));
    }
    state.encoding.scales = wide;
  }
}

// Gives grouped INT4 weights of linears an outer scale a row (method.md 2.7).
void add_outer_scales(ModelData* model) {
  int changed = 0;
  for (Weight& w : model->graph.weights) {
    if (w.values.dtype() != DType::kI4 || w.format.level[0].grain != Grain::kGroup || ends_with(w.name, "ing.weight") ||
        ends_with(w.name, "ings.weight"))
      continue;
    const int64_t rows = w.values.dim(0), groups = w.scales[0].dim(1);
    w.scales[1] = Tensor(DType::kF32, {rows});
    for (int64_t r = 0; r < rows; ++r) {
      double largest = 0;
      for (int64_t g = 0; g < groups; ++g)
        largest = std::max(largest, std::fabs(load_element(w.scales[0].data(), DType::kF16, r * groups + g)));
      w.scales[1].as<float>()[r] = static_cast<float>(8 * largest / 127);
    }
    w.format.level[1] = {Grain::kRow, 0, DType::kF32};
    w.format.levels = 2;
    ++changed;
  }
  EXPECT_GT(changed, 2);
}

struct Change {
  const char* name;
  const char* recipe;
  std::function<void(ModelData*)> apply;
};

const Change kChanges[] = {
    {"rows", "w8a8", make_rows_dynamic},
    {"rows_of_floats", "w4a16", make_rows_dynamic},
    {"states", "w8a8", make_states_dynamic},
    {"states_along_n", "w8a8", spread_state_scales},
    {"two_levels", "w4a16",
     [](ModelData* m) {
       add_outer_scales(m);
       make_rows_dynamic(m);
       make_states_dynamic(m);
     }},
};

class Encodings : public ::testing::TestWithParam<std::tuple<const char*, Change>> {
 protected:
  ModelData model() const {
    const Change& change = std::get<1>(GetParam());
    ModelData out = quantized(std::get<0>(GetParam()), change.recipe);
    change.apply(&out);
    verify(out.graph);
    return out;
  }
};

// As for recipes: a code may fall on either side of a tie, so what differs must be far below what quantizing costs.
TEST_P(Encodings, CpuLevelsAgreeWithTheReferenceOnTheSameBits) {
  const ModelData quant_model = model();
  const ModelData float_model =
      load_model(testing::source_path(std::string("tests/golden/") + std::get<0>(GetParam())));
  testing::expect_levels_agree(float_model, quant_model);
}

TEST_P(Encodings, SavedAndLoadedModelsGiveTheSameBits) {
  const ModelData before = model();
  const std::string path = join_path(testing::temporary_directory(), "model");
  write_artifact(before, path, false);
  const ModelData after = load_model(path);
  ASSERT_EQ(after.graph.edges.size(), before.graph.edges.size());
  for (size_t i = 0; i < before.graph.edges.size(); ++i) {
    EXPECT_EQ(after.graph.edges[i].encoding.format, before.graph.edges[i].encoding.format)
        << before.graph.edges[i].name;
  }
  for (size_t i = 0; i < before.graph.states.size(); ++i) {
    const Encoding &a = after.graph.states[i].encoding, &b = before.graph.states[i].encoding;
    EXPECT_EQ(a.format, b.format) << before.graph.states[i].name;
    EXPECT_EQ(a.scales.shape(), b.scales.shape()) << before.graph.states[i].name;
  }
  for (const Weight& w : before.graph.weights) {
    EXPECT_EQ(after.graph.weights[static_cast<size_t>(after.graph.find_weight(w.name))].format, w.format) << w.name;
  }
  EXPECT_EQ(run_model(before, make_cpu_backend(1)), run_model(after, make_cpu_backend(1)));
}

// Neighbours in a batch, other slots and threads change nothing; states can be saved, moved and reset.
TEST_P(Encodings, SequencesAreTheirOwn) {
  const ModelData m = model();
  const std::vector<int32_t> lengths = {17, 1, 33, 5};
  Executor executor(m.graph, make_cpu_backend(2), {.max_tokens = 64, .max_selected = 4, .max_sequences = 4});
  std::vector<int32_t> ids;
  std::vector<Segment> segments;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const std::vector<int32_t> mine = random_ids(lengths[s], m.vocab_size, s);
    segments.push_back({static_cast<int32_t>(ids.size()), lengths[s], static_cast<int32_t>(3 - s)});
    ids.insert(ids.end(), mine.begin(), mine.end());
  }
  executor.run(ids, segments);
  for (size_t s = 0; s < lengths.size(); ++s) {
    const int32_t last = segments[s].begin + lengths[s] - 1, own_last = lengths[s] - 1;
    const float* row = executor.logits({&last, 1});
    const std::vector<float> together(row, row + executor.table_rows());
    Executor single(m.graph, make_cpu_backend(1), {.max_tokens = 64, .max_selected = 1});
    const Segment segment{0, lengths[s], 0};
    single.run(random_ids(lengths[s], m.vocab_size, s), {&segment, 1});
    const float* own = single.logits({&own_last, 1});
    EXPECT_EQ(together, std::vector<float>(own, own + single.table_rows())) << "sequence " << s;
    EXPECT_EQ(executor.save_state(static_cast<int32_t>(3 - s)), single.save_state(0)) << "sequence " << s;
  }
  const std::vector<int32_t> more = random_ids(10, m.vocab_size, 50);
  const auto continue_in = [&](int32_t slot) {
    const Segment segment{0, 10, slot};
    const int32_t last = 9;
    executor.run(more, {&segment, 1});
    const float* row = executor.logits({&last, 1});
    return std::vector<float>(row, row + executor.table_rows());
  };
  const std::vector<std::byte> saved = executor.save_state(1);
  EXPECT_EQ(saved.size(), executor.state_bytes());
  const std::vector<float> want = continue_in(1);
  executor.load_state(0, saved);
  EXPECT_EQ(continue_in(0), want);
  executor.reset_state(1);
  Executor fresh(m.graph, make_cpu_backend(2), {.max_tokens = 64, .max_selected = 4, .max_sequences = 4});
  EXPECT_EQ(executor.save_state(1), fresh.save_state(1));
}

// With a state that is rounded every token, a prompt is what as many steps are: exactly on the reference. On the CPU
// linears add up in one order whatever the tokens, so the bits are equal there too.
TEST_P(Encodings, StateEveryTokenIsWhatStepsSee) {
  const ModelData m = model();
  EXPECT_EQ(run_model(m, make_reference_backend(), 1, 40), run_model(m, make_reference_backend(), 0, 0));
  bool rounded = false;
  for (const State& s : m.graph.states) rounded |= s.like == kNone && s.encoding.format.storage != DType::kF32;
  if (!rounded) return;
  for (const KernelTable* table : cpu_tables()) {
    EXPECT_EQ(run_model(m, make_cpu_backend(1, *table), 1, 40), run_model(m, make_cpu_backend(1, *table), 0, 0))
        << table->name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Encodings,
                         ::testing::Combine(::testing::ValuesIn(kModels), ::testing::ValuesIn(kChanges)),
                         [](const auto& parameter) {
                           std::string name =
                               std::string(std::get<0>(parameter.param)) + "_" + std::get<1>(parameter.param).name;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

// An edge made of pieces has no scale a row: neither in a graph nor in a file.
TEST(EncodingsRefused, PiecesHaveNoScaleARow) {
  ModelData model = load_model(testing::source_path("tests/golden/mamba2-dssm-nonorm"));
  const EdgeId whole = model.graph.find_edge("layers.0.v");
  ASSERT_NE(whole, kNone);
  Artifact artifact;
  artifact.edges["layers.0.v"] = dynamic(Grain::kRow);
  EXPECT_THROW(apply_encodings(artifact, &model), Error);
  artifact.edges = {{"layers.0.gated", dynamic(Grain::kRow)}};
  EXPECT_THROW(apply_encodings(artifact, &model), Error);
  model.graph.edges[static_cast<size_t>(whole)].encoding = dynamic(Grain::kRow);
  EXPECT_THROW(verify(model.graph), Error);
}

TEST(EncodingsRefused, ScalesOfAStateHaveItsShape) {
  ModelData model = load_model(testing::source_path("tests/golden/mamba2-hf"));
  const State& state = model.graph.states[static_cast<size_t>(model.graph.find_state("layers.0.ssm_state"))];
  const int64_t h = state.shape[0], n = state.shape[1], p = state.shape[2];
  const auto attempt = [&](const std::vector<int64_t>& shape) {
    Artifact artifact;
    Encoding e;
    e.format.storage = DType::kI8;
    e.format.levels = 1;
    e.format.level[0].grain = Grain::kColumn;
    e.scales = Tensor(DType::kF32, shape);
    artifact.states["layers.0.ssm_state"] = e;
    ModelData copy = model;
    apply_encodings(artifact, &copy);
  };
  EXPECT_NO_THROW(attempt({h, p}));
  EXPECT_NO_THROW(attempt({h, n, p}));
  EXPECT_THROW(attempt({h * p}), Error);
  EXPECT_THROW(attempt({h, p + 1}), Error);
  EXPECT_THROW(attempt({n, p}), Error);
}

// hadamard and convert from the builder to every back end: there and back again changes nothing but the rounding.
TEST(EncodingsBuilder, HadamardThereAndBackKeepsTheNumbers) {
  constexpr int64_t kWidth = 24, kIds = 8;
  Random random(4);
  WeightMap weights;
  for (const char* name : {"embedding", "head"}) {
    std::vector<float> values;
    for (int64_t i = 0; i < kIds * kWidth; ++i) values.push_back(static_cast<float>(random.normal()));
    weights[name] = make_float_weight(name, {kIds, kWidth}, values);
  }
  const auto build = [&](bool through) {
    GraphBuilder g(weights);
    EdgeId h = g.embed(g.require("embedding", {-1, -1}), "h");
    if (through) {
      h = g.hadamard(h, false, "there");
      h = g.hadamard(g.convert(h, "kept"), true, "back");
    }
    h = g.select_rows(h, "selected");
    return g.finish(g.linear(h, g.require("head", {-1, -1}), kNone, "logits"));
  };
  const auto logits = [&](const Graph& graph, std::shared_ptr<const Backend> backend) {
    Executor executor(graph, std::move(backend), {.max_tokens = 8, .max_selected = 8});
    const std::vector<int32_t> ids = {3, 0, 7}, rows = {0, 1, 2};
    const Segment segment{0, 3, 0};
    executor.run(ids, {&segment, 1});
    const float* out = executor.logits(rows);
    return std::vector<float>(out, out + 3 * kIds);
  };
  const std::vector<float> want = logits(build(false), make_reference_backend());
  for (const bool coded : {false, true}) {
    Graph graph = build(true);
    if (coded) graph.edges[static_cast<size_t>(graph.find_edge("kept"))].encoding = dynamic(Grain::kRow);
    // A code is off by half a step of at most 3 / 127; 24 of them meet weights of about 1.
    const float bound = coded ? 0.25f : 2e-5f;
    for (const KernelTable* table : cpu_tables()) {
      const std::vector<float> got = logits(graph, make_cpu_backend(2, *table));
      for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], bound) << table->name;
    }
    const std::vector<float> exact = logits(graph, make_reference_backend());
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(exact[i], want[i], bound);
  }
}

// The outer scales of two-level weights in a file: present, one a row, F32.
TEST(EncodingsRefused, OuterScalesThatDoNotFit) {
  ModelData model = quantized("mamba2-hf", "w4a16");
  add_outer_scales(&model);
  const std::string path = join_path(testing::temporary_directory(), "model");
  write_artifact(model, path, false);
  const Checkpoint whole = load_checkpoint(path);
  const std::string name = "backbone.layers.0.mixer.in_proj.weight_channel_scale";
  const Tensor& scales = whole.tensors.at(name);
  EXPECT_EQ(scales.dtype(), DType::kF32);
  EXPECT_EQ(scales.shape(), (std::vector<int64_t>{scales.elements(), 1}));
  EXPECT_NO_THROW(read_artifact(whole));
  Checkpoint bad = whole;
  bad.tensors.erase(name);
  EXPECT_THROW(read_artifact(bad), Error);
  for (const Tensor& other : {Tensor(DType::kF16, scales.shape()), Tensor(DType::kF32, {scales.elements() + 1, 1}),
                              Tensor(DType::kI8, scales.shape())}) {
    bad.tensors[name] = other;
    EXPECT_THROW(read_artifact(bad), Error);
  }
}

}  // namespace
}  // namespace quamba2
