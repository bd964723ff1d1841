// SPDX-License-Identifier: Apache-2.0
// Finished parts of a model that is being quantized, a safetensors file each with our settings in its metadata: a job that
// was killed goes on behind the last one, and finished weights need no memory but the file cache.
#pragma once

#include <cstdint>
#include <string>

#include "graph/artifact.h"

namespace quamba2 {

class PartFiles {
 public:
  // Files of the same `job` (a text that names everything that decides the bits) in `directory` are kept where `resume`;
  // otherwise the directory starts empty. Throws Error{kUsage} where it holds another job's files, Error{kRuntime} where
  // it cannot be written.
  PartFiles(std::string directory, const std::string& job, bool resume);

  bool has(int64_t part) const;
  // Throws Error{kModelFile} where the file is damaged.
  Artifact read(int64_t part) const;
  // Appears whole or not at all.
  void write(int64_t part, const Artifact& artifact) const;
  // Removes such a directory; anything else is left alone.
  static void remove(const std::string& directory);

 private:
  std::string path(int64_t part) const;
  std::string directory_;
};

}  // namespace quamba2
