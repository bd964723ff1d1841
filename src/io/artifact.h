// SPDX-License-Identifier: Apache-2.0
// Checkpoints as weights with formats, and the quantized artefact (docs/formats.md): a Hugging Face directory whose
// config.json has a compressed-tensors `quantization_config` with our own settings under its key `quamba2`.
#pragma once

#include <string>

#include "graph/artifact.h"
#include "io/checkpoint.h"
#include "io/safetensors.h"

namespace quamba2 {

// Groups the tensors of a checkpoint into weights. Throws Error{kModelFile} for quantization methods that are not ours,
// for tensors that are missing beside a packed one, and for shapes that disagree.
Artifact read_artifact(const Checkpoint& checkpoint);

// The settings that stand under `quamba2`; tensors of weights and scales are appended.
Json describe_artifact(const Artifact& artifact, NamedTensors* tensors);

// Sets the encodings of an artifact on a model that was built from its weights. Throws Error{kModelFile} where a name or
// the number of scales does not fit.
void apply_encodings(const Artifact& artifact, ModelData* model);

// Writes the model and the side files of its source directory as a directory that appears whole or not at all.
// Throws Error{kUsage} where the target exists and `replace` is off, Error{kRuntime} where it cannot be written.
void write_artifact(const ModelData& model, const std::string& directory, bool replace);

}  // namespace quamba2
