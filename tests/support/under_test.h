// SPDX-License-Identifier: Apache-2.0
// The kernel tables under test, and how their rows are run: on the threads of this process (under_test_cpu.cc) or on a
// device (under_test_cuda.cc), where all memory of a problem is copied to and back. A program links one of the two.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backend/device.h"
#include "backend/op_args.h"

namespace quamba2::testing {

struct UnderTest {
  std::span<const KernelTable* const> tables;
  Device* device = nullptr;  // null: kernels work on this process's memory
  // Runs of one problem that must give the same bits: with 1 to `variants` threads, or on a device just again.
  int variants = 0;
};

// Without a device that a program is for, all its cases are skipped.
const UnderTest& under_test();

// The stream of a variant, 1 or more, with `scratch`.
Stream test_stream(int variant, void* scratch);

// Memory of a problem.
struct Block {
  void* data = nullptr;
  size_t bytes = 0;
};

// A copy of blocks in a device's memory, as much out of alignment as they are.
class Mirror {
 public:
  Mirror(Device& device, std::vector<Block> blocks);
  // Where the device has what is at `host`; null for null. Fails where that is in no block.
  void* address(const void* host) const;
  void download() const;

 private:
  Device& device_;
  std::vector<Block> blocks_;
  std::vector<size_t> offsets_;
  char* memory_;
};

// Runs a row; `blocks` hold all that `args` and `scratch` point to.
template <class Args>
void run_under_test(const Kernel<Args>& row, Args args, int variant, const std::vector<Block>& blocks, void* scratch) {
  Device* device = under_test().device;
  if (!device) {
    row.run(args, test_stream(variant, scratch));
    return;
  }
  const Mirror mirror(*device, blocks);
  visit_views(args, [&](TensorView& view) { view.data = mirror.address(view.data); });
  if constexpr (requires { args.segments; }) args.segments = static_cast<Segment*>(mirror.address(args.segments));
  if constexpr (requires { args.prepared; }) args.prepared = mirror.address(args.prepared);
  row.run(args, test_stream(variant, mirror.address(scratch)));
  device->check_launch(row.name);
  mirror.download();
}

}  // namespace quamba2::testing
