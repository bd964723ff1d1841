// SPDX-License-Identifier: Apache-2.0
#include "quamba2/report.h"

#include "base/file.h"
#include "quamba2/error.h"
#include "report/documents.h"
#include "report/page.h"

namespace quamba2 {

std::string report_html(const std::vector<ReportInput>& inputs, const ReportOptions& options) {
  if (inputs.empty()) {
    throw Error(ErrorCode::kUsage, "nothing to report", "", "no document was given",
                "give what quantize, compare or bench wrote with --json");
  }
  report::Documents documents;
  for (const ReportInput& input : inputs) report::add_document(input.name, input.json, &documents);
  return report::page(documents, options.title);
}

void write_report(const std::string& path, const std::vector<ReportInput>& inputs, const ReportOptions& options) {
  write_file(path, report_html(inputs, options));
}

}  // namespace quamba2
