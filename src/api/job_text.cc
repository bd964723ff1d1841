// SPDX-License-Identifier: Apache-2.0
#include "api/job_text.h"

#include "base/hash.h"
#include "graph/model.h"

namespace quamba2 {

std::string fingerprint(const std::string& text) {
  Fnv1a hash;
  hash.add(text);
  return std::to_string(hash.value());
}

std::string job_text(const QuantizeOptions& o, const Model& model, bool reads_text) {
  std::string out = "quamba2 job 1\nmodel " + model.data().directory + " " + std::to_string(model.weight_bytes());
  out += "\nrecipe " + o.recipe + " " + o.preset + " " + std::to_string(o.table_bits) + " " + std::to_string(o.group);
  for (const std::string& layer : o.layers) out += " " + layer;
  for (const std::string& name : o.with) out += " +" + name;
  for (const std::string& name : o.without) out += " -" + name;
  out += "\ntext " + fingerprint(reads_text ? o.calibration_text : "") + " " + std::to_string(o.calibration_samples) +
         " " + std::to_string(o.calibration_window) + " " + std::to_string(o.seed) +
         (o.device == "cpu" ? "" : " " + o.device) + "\nskip";
  for (const std::string& pass : o.skip) out += " " + pass;
  return out + "\nstop " + o.stop_after + "\n";
}

}  // namespace quamba2
