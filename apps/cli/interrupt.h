// SPDX-License-Identifier: Apache-2.0
// Ctrl-C: the first asks the work to stop and clean up, the second ends the process at once. SIGTERM and SIGHUP do the same.
#pragma once

namespace quamba2::cli {

void catch_interrupts();                  // SIGPIPE is ignored from here on too: writes fail instead
int interrupted();                        // the signal that asked to stop, or 0
void say_at_interrupt(const char* text);  // on a terminal, when one comes; a constant of the program
void acknowledge_interrupt();             // to be asked to stop was no interruption: the work has ended as it should
void end_by_pipe();                       // what a process does whose reader has gone: ends quietly by SIGPIPE

}  // namespace quamba2::cli
