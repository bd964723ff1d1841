// SPDX-License-Identifier: Apache-2.0
#include "sampling.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <string>
#include <vector>

#include "options.h"

namespace quamba2::python {
SamplingOptions sampling_options(const nb::dict& from) {
  SamplingOptions o;
  for (const auto& [key, value] : from) {
    const auto name = nb::cast<std::string>(key);
    if (name == "max_tokens")
      set_option(&o.max_tokens, name, value);
    else if (name == "temperature")
      set_option(&o.temperature, name, value);
    else if (name == "top_k")
      set_option(&o.top_k, name, value);
    else if (name == "top_p")
      set_option(&o.top_p, name, value);
    else if (name == "min_p")
      set_option(&o.min_p, name, value);
    else if (name == "repetition_penalty")
      set_option(&o.repetition_penalty, name, value);
    else if (name == "presence_penalty")
      set_option(&o.presence_penalty, name, value);
    else if (name == "frequency_penalty")
      set_option(&o.frequency_penalty, name, value);
    else if (name == "seed")
      set_option(&o.seed, name, value);
    else if (name == "stop")
      set_option(&o.stop, name, value);
    else if (name == "ignore_eos")
      set_option(&o.ignore_eos, name, value);
    else if (name == "stop_token_ids")
      set_option(&o.stop_token_ids, name, value);
    else if (name == "min_tokens")
      set_option(&o.min_tokens, name, value);
    else if (name == "skip_special_tokens")
      set_option(&o.skip_special_tokens, name, value);
    else if (name == "logit_bias") {
      std::map<int32_t, double> biases;
      set_option(&biases, name, value);
      for (const auto& [id, bias] : biases) o.logit_bias.push_back({id, bias});
    } else {
      throw nb::type_error(("there is no sampling option '" + name + "'").c_str());
    }
  }
  return o;
}

}  // namespace quamba2::python
