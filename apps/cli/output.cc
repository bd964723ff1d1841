// SPDX-License-Identifier: Apache-2.0
#include "output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "quamba2/error.h"

namespace quamba2::cli {

void Output::write(std::string_view text) {
  pending_ += text;
  if (pending_.size() > 1 << 16) flush();
}

void Output::flush() {
  if (pending_.empty()) return;
  if (before_write) before_write();
  const std::string text = std::move(pending_);
  pending_.clear();
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (count >= 0) {
      done += static_cast<size_t>(count);
    } else if (errno == EPIPE) {
      throw ReaderGone{};
    } else if (errno != EINTR) {
      throw Error(ErrorCode::kRuntime, "cannot write", "standard output", std::strerror(errno));
    }
  }
}

}  // namespace quamba2::cli
