// SPDX-License-Identifier: Apache-2.0
// One pass over one part: timed, probed where it has to keep the function, and reported.
#pragma once

#include <map>
#include <string>

#include "quamba2/quantize.h"
#include "quant/pass.h"

namespace quamba2 {

// How far activations stick out, by reader (Calibration::peaks).
using Peaks = std::map<std::string, double>;

// `peaks`: of the part as it is; kept up to date over passes that keep the function. Throws Error{kInternal} where such a
// pass moved the part's outputs.
PassReport run_pass(const Pass& pass, QuantPart* part, Calibration* calibration, Peaks* peaks);

void log_line(const PassReport& report);

// "3.1e-06"
std::string small_number(double v);

}  // namespace quamba2
