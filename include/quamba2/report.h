// SPDX-License-Identifier: Apache-2.0
// One HTML page that shows what quantizing, comparing, measuring and searching wrote as JSON.
#pragma once

#include <string>
#include <vector>

namespace quamba2 {

// A document of one of the kinds quantization, comparison, bench, search, ablation: what the program's verbs of these
// purposes print with --json.
struct ReportInput {
  std::string name;  // of the file, for error messages and the list of sources
  std::string json;
};

struct ReportOptions {
  std::string title = {};  // empty: made from the name of the model
};

// The page as text: self-contained, without scripts, nothing is loaded from anywhere. Documents are joined by the last
// component of a model's path. The same inputs give the same bytes. Throws Error{kModelFile} that names the file and the
// member at fault where a document is not what it should be, Error{kUsage} where there is none.
std::string report_html(const std::vector<ReportInput>& inputs, const ReportOptions& options = {});

// Writes that page to a file, which appears whole or not at all; one that is there is replaced. Throws as report_html,
// and Error{kRuntime} where it cannot be written.
void write_report(const std::string& path, const std::vector<ReportInput>& inputs, const ReportOptions& options = {});

}  // namespace quamba2
