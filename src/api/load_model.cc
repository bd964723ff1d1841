// SPDX-License-Identifier: Apache-2.0
#include "api/load_model.h"

#include "arch/registry.h"
#include "io/artifact.h"

namespace quamba2 {

ModelData load_model(const std::string& path_or_name) {
  const Checkpoint checkpoint = load_checkpoint(path_or_name);
  Artifact artifact = read_artifact(checkpoint);
  ModelData model = build_model(checkpoint.config, std::move(artifact.weights), checkpoint.directory);
  apply_encodings(artifact, &model);
  return model;
}

}  // namespace quamba2
