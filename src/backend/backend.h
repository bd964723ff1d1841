// SPDX-License-Identifier: Apache-2.0
// What the planner needs from a back end. Nothing above src/backend knows which one it is.
#pragma once

#include <memory>
#include <string>

#include "backend/device.h"
#include "backend/kernel.h"
#include "backend/program.h"
#include "backend/rounding.h"

namespace quamba2 {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const KernelTable& table() const = 0;
  // Threads and pool; scratch is the executor's.
  virtual Stream stream() const = 0;
  // Where kernels read and write; null where that is the memory of this process.
  virtual Device* device() const { return nullptr; }
  // The steps as one piece of work on the device, or null where they are to be launched one by one. Steps that come again
  // with the same arguments may be compiled once and run often.
  virtual std::unique_ptr<Program> compile(ProgramSteps) const { return nullptr; }
  // What the quantizer runs on the device; null where it works in the memory of this process.
  virtual const RoundingKernels* rounding() const { return nullptr; }
  // How edges without a format are stored: f32, or f64 for the reference.
  virtual DType float_type() const { return DType::kF32; }
  // Tokens of a call where nobody says how many: fewer leave a GPU unfilled, more gain nothing in the caches of a CPU.
  int32_t usual_tokens() const { return device() ? 2048 : 512; }
  virtual std::string description() const = 0;  // "CPU avx512vnni, 2 threads (AMD EPYC 9654)"
};

}  // namespace quamba2
