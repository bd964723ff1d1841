// SPDX-License-Identifier: Apache-2.0
#include "quamba2/text_file.h"

#include "base/file.h"

namespace quamba2 {

void write_text_file(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace quamba2
