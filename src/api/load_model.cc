// SPDX-License-Identifier: Apache-2.0
#include "api/load_model.h"

#include "arch/registry.h"
#include "io/artifact.h"

namespace quamba2 {

ModelData assemble(Artifact artifact, const Json& config, const std::string& directory) {
  ModelData model = build_model(config, std::move(artifact.weights), directory, artifact.transforms);
  apply_encodings(artifact, &model);
  return model;
}

ModelData load_model(const std::string& path_or_name) {
  const Checkpoint checkpoint = load_checkpoint(path_or_name);
  ModelData model = assemble(read_artifact(checkpoint), checkpoint.config, checkpoint.directory);
  check_finite(model.graph);
  return model;
}

}  // namespace quamba2
