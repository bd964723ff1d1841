// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>

#include "bindings.h"
#include "quamba2/session.h"
#include "shared_engine.h"

namespace quamba2::python {
namespace {

using PyGeneration = Resident<Generation>;

}  // namespace

void bind_generation(nb::module_& m) {
  nb::class_<GenerationUsage>(m, "Usage", "What a text took. Seconds are of the wall clock.")
      .def_ro("prompt_tokens", &GenerationUsage::prompt_tokens)
      .def_ro("generated_tokens", &GenerationUsage::generated_tokens, "With the one that ended the text.")
      .def_ro("prompt_seconds", &GenerationUsage::prompt_seconds)
      .def_ro("generation_seconds", &GenerationUsage::generation_seconds);
  nb::class_<TokenScore>(m, "TokenScore", "A token and its natural log-probability.")
      .def_ro("id", &TokenScore::id)
      .def_ro("logprob", &TokenScore::log_probability);
  nb::class_<TokenReport>(m, "TokenReport", "A generated token; `logprob` is NaN and `top` empty unless asked for.")
      .def_ro("id", &TokenReport::id)
      .def_ro("logprob", &TokenReport::log_probability,
              "Natural, at temperature 1, before bias, penalties and filters.")
      .def_ro("top", &TokenReport::top, "The likeliest tokens, likeliest first.");
  nb::class_<GenerationUpdate>(m, "Update", "What is new of a text.")
      .def_ro("text", &GenerationUpdate::text)
      .def_ro("tokens", &GenerationUpdate::tokens)
      .def_ro("usage", &GenerationUpdate::usage)
      .def_ro("finished", &GenerationUpdate::finished)
      .def_ro("end_token", &GenerationUpdate::end_token)
      .def_prop_ro("finish_reason", [](const GenerationUpdate& u) { return name_of(u.finish); });
  nb::class_<PyGeneration>(m, "Generation", "A text that grows as it is asked for.")
      .def(
          "next", [](PyGeneration& self) { return self.use([](Generation& text) { return text.next(); }); },
          "What is new, as soon as a token has come; None once the text has ended.");
  nb::class_<Completion>(m, "Completion", "A continuation of a prompt.")
      .def_ro("prompt_ids", &Completion::prompt_ids)
      .def_ro("ids", &Completion::ids)
      .def_ro("text", &Completion::text)
      .def_prop_ro("finish_reason", [](const Completion& c) { return name_of(c.finish); });
}

}  // namespace quamba2::python
