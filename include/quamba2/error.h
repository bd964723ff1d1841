// SPDX-License-Identifier: Apache-2.0
// The one exception type that the library throws, and the process exit codes that go with it.
#pragma once

#include <exception>
#include <string>

namespace quamba2 {

// Values are the exit codes of the command line program.
enum class ErrorCode : int {
  kRuntime = 1,       // failed at run time: input/output, numerical trouble
  kUsage = 2,         // the caller asked for something that makes no sense
  kModelFile = 3,     // an unreadable or unsupported model, tokenizer or data file
  kResource = 4,      // out of memory, device missing
  kQualityGate = 5,   // a quality gate failed
  kInternal = 70,     // a bug in this library
  kInterrupted = 130  // the user interrupted the work
};

// Every message has the form `what (where): why; hint`. `where` and `hint` may be empty.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string what, std::string where, std::string why, std::string hint = {});

  const char* what() const noexcept override { return message_.c_str(); }
  ErrorCode code() const noexcept { return code_; }
  const std::string& subject() const noexcept { return what_; }
  const std::string& where() const noexcept { return where_; }
  const std::string& why() const noexcept { return why_; }
  const std::string& hint() const noexcept { return hint_; }

  // The same error with `place` put in front of `where`: used on the way up ("model.safetensors: layers.3").
  Error within(const std::string& place) const;

 private:
  ErrorCode code_;
  std::string what_, where_, why_, hint_, message_;
};

}  // namespace quamba2
