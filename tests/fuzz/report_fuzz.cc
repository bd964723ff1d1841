// SPDX-License-Identifier: Apache-2.0
// Any bytes as a document: a page without faults in its markup, or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "quamba2/error.h"
#include "report/documents.h"
#include "report/markup_problems.h"
#include "report/page.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  quamba2::report::Documents documents;
  try {
    quamba2::report::add_document("fuzz", {reinterpret_cast<const char*>(data), size}, &documents);
  } catch (const quamba2::Error& e) {
    if (e.code() != quamba2::ErrorCode::kModelFile) __builtin_trap();
    return 0;
  }
  if (!quamba2::report::markup_problem(quamba2::report::page(documents, "")).empty()) __builtin_trap();
  return 0;
}
