// SPDX-License-Identifier: Apache-2.0
#include "quamba2/evaluate.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <map>

#include "arrays.h"
#include "bindings.h"
#include "quamba2/tasks.h"
#include "shared_engine.h"

namespace quamba2::python {
namespace {

using namespace nb::literals;

Perplexity measure(const EngineHandle& self, std::string_view text, int64_t window, int64_t max_windows,
                   nb::handle progress) {
  return self.shared->use(progress, [&](Engine& engine) { return perplexity(engine, text, {window, max_windows}); });
}

std::vector<std::pair<double, bool>> score_pairs(const EngineHandle& self, const nb::typed<nb::list, nb::object>& pairs,
                                                 int64_t chunk, nb::handle progress) {
  std::vector<ScoreRequest> requests;
  for (nb::handle pair : pairs) requests.push_back({Ids(pair[0]).vector(), Ids(pair[1]).vector()});
  const std::vector<ContinuationScore> scores =
      self.shared->use(progress, [&](Engine& engine) { return score(engine, requests, chunk); });
  std::vector<std::pair<double, bool>> out;
  for (const ContinuationScore& s : scores) out.emplace_back(s.log_likelihood, s.greedy);
  return out;
}

using Metrics = std::map<std::string, std::pair<double, double>>;  // value, standard error

std::map<std::string, Metrics> evaluate(const EngineHandle& self, const std::string& data,
                                        const std::vector<std::string>& names, int64_t limit, int shots,
                                        int64_t max_length, int64_t chunk, nb::handle progress) {
  TaskOptions options;
  options.data = data;
  options.names = names;
  options.limit = limit;
  options.shots = shots;
  options.max_length = max_length;
  options.chunk = chunk;
  const TaskReport report = self.shared->use(progress, [&](Engine& engine) { return evaluate_tasks(engine, options); });
  std::map<std::string, Metrics> out;
  for (const TaskResult& task : report.tasks) {
    for (const TaskMetric& m : task.metrics) out[task.task.name][m.name] = {m.value, m.standard_error};
  }
  return out;
}

}  // namespace

void bind_evaluate(nb::module_& m) {
  nb::class_<Perplexity>(m, "Perplexity", "How well a model predicts a text.")
      .def_ro("perplexity", &Perplexity::perplexity)
      .def_ro("standard_error", &Perplexity::standard_error, "Of the perplexity.")
      .def_ro("bits_per_byte", &Perplexity::bits_per_byte)
      .def_ro("nll", &Perplexity::nll, "Mean negative natural log-likelihood of a token.")
      .def_ro("tokens", &Perplexity::tokens, "Of the whole text.")
      .def_ro("windows", &Perplexity::windows)
      .def_ro("predicted", &Perplexity::predicted, "Tokens that count.")
      .def_ro("seconds", &Perplexity::seconds)
      .def("__float__", [](const Perplexity& p) { return p.perplexity; })
      .def("__repr__", [](const Perplexity& p) {
        return "Perplexity(" + std::to_string(p.perplexity) + " ± " + std::to_string(p.standard_error) + ", " +
               std::to_string(p.predicted) + " predictions)";
      });
  m.def("perplexity", measure, "engine"_a, "text"_a, "window"_a, "max_windows"_a, "progress"_a.none());
  m.def("score", score_pairs, "engine"_a, "pairs"_a, "chunk"_a, "progress"_a.none());
  m.def("evaluate_tasks", evaluate, "engine"_a, "data"_a, "names"_a, "limit"_a, "shots"_a, "max_length"_a, "chunk"_a,
        "progress"_a.none());
}

}  // namespace quamba2::python
