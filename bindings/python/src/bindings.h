// SPDX-License-Identifier: Apache-2.0
// The parts of the module quamba2._core.
#pragma once

#include <nanobind/nanobind.h>

namespace quamba2::python {

namespace nb = nanobind;

void bind_work(nb::module_& m);
void bind_errors(nb::module_& m);
void bind_tokenizer(nb::module_& m);
void bind_engine(nb::module_& m);
void bind_session(nb::module_& m);
void bind_generation(nb::module_& m);
void bind_quantize(nb::module_& m);
void bind_evaluate(nb::module_& m);

}  // namespace quamba2::python
