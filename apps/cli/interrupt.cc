// SPDX-License-Identifier: Apache-2.0
#include "interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace quamba2::cli {
namespace {

volatile sig_atomic_t asked = 0;
const char* volatile text_at_interrupt = "\nstopping; once more ends at once\n";

void on_signal(int signal) {
  asked = signal;
  const char* const text = text_at_interrupt;
  if (isatty(STDERR_FILENO)) {
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, strlen(text));
  }
}

void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = flags;  // without SA_RESTART: a read that waits for input ends
  sigaction(signal, &action, nullptr);
}

// A process started in the background by a shell ignores SIGINT, and goes on doing so.
void catch_unless_ignored(int signal) {
  struct sigaction old{};
  sigaction(signal, nullptr, &old);
  if (old.sa_handler != SIG_IGN) handle(signal, on_signal, static_cast<int>(SA_RESETHAND));
}

}  // namespace

void catch_interrupts() {
  catch_unless_ignored(SIGINT);
  catch_unless_ignored(SIGTERM);
  catch_unless_ignored(SIGHUP);
  handle(SIGPIPE, SIG_IGN, 0);
}

int interrupted() { return asked; }

void say_at_interrupt(const char* text) { text_at_interrupt = text; }

void acknowledge_interrupt() { asked = 0; }

void end_by_pipe() {
  handle(SIGPIPE, SIG_DFL, 0);
  raise(SIGPIPE);
  _exit(141);  // where the signal is blocked: what a shell reports for it
}

}  // namespace quamba2::cli
