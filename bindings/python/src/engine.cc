// SPDX-License-Identifier: Apache-2.0
// Engine: a loaded model, from which sessions and texts come.
#include "quamba2/engine.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "options.h"
#include "sampling.h"
#include "shared_engine.h"

namespace quamba2::python {
namespace {

using namespace nb::literals;

EngineHandle load(const std::string& path, const std::string& device, int threads, const std::string& tokenizer,
                  int batch, int chunk, int state_every) {
  EngineOptions options;
  options.device = device;
  options.threads = threads;
  options.tokenizer = tokenizer;
  options.max_sequences = batch;
  options.max_tokens = chunk;
  options.state_every = state_every;
  return {SharedEngine::load(path, options)};
}

Resident<Session>* new_session(const EngineHandle& self) {
  auto held = self.shared->use([](Engine& engine) { return std::make_shared<Session>(engine); });
  return new Resident<Session>(self.shared, std::move(held));
}

Resident<Generation>* start(const EngineHandle& self, nb::handle prompt, const OptionDict& sampling, int32_t logprobs) {
  GenerationRequest request{Ids(prompt).vector(), sampling_options(sampling), logprobs};
  auto held =
      self.shared->use([&](Engine& engine) { return std::make_shared<Generation>(engine, std::move(request)); });
  return new Resident<Generation>(self.shared, std::move(held));
}

std::vector<Completion> complete(const EngineHandle& self, const nb::typed<nb::list, nb::object>& prompts,
                                 const OptionDict& sampling, nb::handle progress) {
  std::vector<std::vector<int32_t>> ids;
  for (nb::handle prompt : prompts) ids.push_back(Ids(prompt).vector());
  const SamplingOptions options = sampling_options(sampling);
  // Signals are looked for at every piece of text too.
  return self.shared->use(progress, [&](Engine& engine) {
    Job* const job = Job::current();
    std::vector<Completion> out = engine.generate_from_ids(
        ids, options, [job](size_t, std::string_view) { return job->report("generating", 0, 0); });
    job->check();
    return out;
  });
}

std::string render_chat(const EngineHandle& self, const std::string& messages, bool add_generation_prompt,
                        const std::string& tools, const std::string& variables) {
  const std::optional<ChatTemplate> chat = self.shared->engine().chat_template();
  if (!chat) {
    throw Error(ErrorCode::kUsage, "no chat template", self.shared->facts().name, "the model's directory has none",
                "write the prompt out yourself");
  }
  return chat->render_json(messages, {add_generation_prompt, tools, variables});
}

template <class Class>
void bind_facts(Class& engine) {
  engine.def_prop_ro("name", [](const EngineHandle& self) { return self.shared->facts().name; })
      .def_prop_ro("family", [](const EngineHandle& self) { return self.shared->facts().family; })
      .def_prop_ro("recipe", [](const EngineHandle& self) { return self.shared->facts().recipe; })
      .def_prop_ro("config", [](const EngineHandle& self) { return self.shared->facts().config; })
      .def_prop_ro("layers", [](const EngineHandle& self) { return self.shared->facts().layers; })
      .def_prop_ro("d_model", [](const EngineHandle& self) { return self.shared->facts().d_model; })
      .def_prop_ro("parameters", [](const EngineHandle& self) { return self.shared->facts().parameters; })
      .def_prop_ro("weight_bytes", [](const EngineHandle& self) { return self.shared->facts().weight_bytes; })
      .def_prop_ro("vocab_size", [](const EngineHandle& self) { return self.shared->engine().vocab_size(); })
      .def_prop_ro("table_rows", [](const EngineHandle& self) { return self.shared->engine().table_rows(); })
      .def_prop_ro("state_bytes", [](const EngineHandle& self) { return self.shared->engine().state_bytes(); })
      .def_prop_ro("end_ids", [](const EngineHandle& self) { return self.shared->engine().end_ids(); })
      .def_prop_ro("threads", [](const EngineHandle& self) { return self.shared->engine().threads(); })
      .def_prop_ro("description", [](const EngineHandle& self) { return self.shared->engine().description(); });
}

}  // namespace

void bind_engine(nb::module_& m) {
  auto engine = nb::class_<EngineHandle>(m, "Engine", "A loaded model. quamba2.Model is the comfortable form.");
  engine.def_static("load", load, "path"_a, "device"_a, "threads"_a, "tokenizer"_a, "batch"_a, "chunk"_a,
                    "state_every"_a);
  bind_facts(engine);
  engine
      .def_prop_ro(
          "tokenizer", [](const EngineHandle& self) -> const Tokenizer& { return self.shared->engine().tokenizer(); },
          nb::rv_policy::reference_internal)
      .def(
          "encode_prompt",
          [](const EngineHandle& self, std::string_view text) { return self.shared->engine().encode_prompt(text); },
          "text"_a)
      .def("explain", [](const EngineHandle& self) { return self.shared->engine().explain(); })
      .def("chat_template",
           [](const EngineHandle& self) -> std::optional<std::string> {
             const std::optional<ChatTemplate> chat = self.shared->engine().chat_template();
             return chat ? std::optional(chat->source()) : std::nullopt;
           })
      .def("render_chat", render_chat, "messages"_a, "add_generation_prompt"_a, "tools"_a, "variables"_a)
      .def("session", new_session)
      .def("start", start, "prompt"_a, "sampling"_a, "logprobs"_a)
      .def("complete", complete, "prompts"_a, "sampling"_a, "progress"_a.none());
}

}  // namespace quamba2::python
