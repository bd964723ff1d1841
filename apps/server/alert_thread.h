// SPDX-License-Identifier: Apache-2.0
// A thread that answers soon on processors that others keep busy.
#pragma once

namespace quamba2::server {

// Asks the system to run the calling thread in short slices, and soon after it wakes: before threads that compute, whose slices
// are longer. Its share of the processors stays what it is, and threads that it starts are as usual. Linux 6.12 or later; else
// nothing changes.
void run_in_short_slices();

}  // namespace quamba2::server
