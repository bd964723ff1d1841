// SPDX-License-Identifier: Apache-2.0
// Sampling options as the Python layer hands them over.
#pragma once

#include <nanobind/nanobind.h>

#include "quamba2/generate.h"

namespace quamba2::python {

namespace nb = nanobind;

// From a dict of the members' names. Throws TypeError for names that are not known and values of other types.
SamplingOptions sampling_options(const nb::dict& from);

}  // namespace quamba2::python
