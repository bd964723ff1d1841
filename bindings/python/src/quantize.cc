// SPDX-License-Identifier: Apache-2.0
#include "quamba2/quantize.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"
#include "options.h"
#include "quamba2/model.h"
#include "work.h"

namespace quamba2::python {
namespace {

using namespace nb::literals;

// From a dict of the members' names; all that a caller may choose but the calibration text.
QuantizeOptions options_of(const nb::dict& from) {
  QuantizeOptions o;
  for (const auto& [key, value] : from) {
    const auto name = nb::cast<std::string>(key);
    if (name == "recipe")
      set_option(&o.recipe, name, value);
    else if (name == "preset")
      set_option(&o.preset, name, value);
    else if (name == "with")
      set_option(&o.with, name, value);
    else if (name == "without")
      set_option(&o.without, name, value);
    else if (name == "calibration_text")
      set_option(&o.calibration_text, name, value);
    else if (name == "samples")
      set_option(&o.calibration_samples, name, value);
    else if (name == "window")
      set_option(&o.calibration_window, name, value);
    else if (name == "table_bits")
      set_option(&o.table_bits, name, value);
    else if (name == "group")
      set_option(&o.group, name, value);
    else if (name == "layers")
      set_option(&o.layers, name, value);
    else if (name == "seed")
      set_option(&o.seed, name, value);
    else if (name == "threads")
      set_option(&o.threads, name, value);
    else if (name == "device")
      set_option(&o.device, name, value);
    else if (name == "tokenizer")
      set_option(&o.tokenizer, name, value);
    else if (name == "work_directory")
      set_option(&o.work_directory, name, value);
    else if (name == "resume")
      set_option(&o.resume, name, value);
    else
      throw nb::type_error(("there is no option '" + name + "'").c_str());
  }
  return o;
}

// Returns the report in JSON.
std::string quantize_directory(const std::string& source, const std::string& target, const OptionDict& given,
                               bool replace, nb::handle progress) {
  const QuantizeOptions options = options_of(given);
  return without_lock(progress, [&] {
    Model model = Model::from_pretrained(source);
    const QuantizeReport report = quantize(model, options);
    model.save(target, replace);
    if (!options.work_directory.empty()) remove_work(options.work_directory);
    return to_json(report);
  });
}

}  // namespace

void bind_quantize(nb::module_& m) {
  nb::class_<RecipeInfo>(m, "Recipe", "A way to quantize.")
      .def_ro("name", &RecipeInfo::name)
      .def_ro("summary", &RecipeInfo::summary)
      .def_ro("needs_calibration", &RecipeInfo::needs_calibration);
  m.def("recipes", &recipes, "What `quantize` takes as `recipe`.");
  m.def("quantize", quantize_directory, "source"_a, "target"_a, "options"_a, "replace"_a, "progress"_a.none());
}

}  // namespace quamba2::python
