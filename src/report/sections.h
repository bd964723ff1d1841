// SPDX-License-Identifier: Apache-2.0
// The sections of the page, a file each. Every function returns HTML, empty where no document feeds it.
#pragma once

#include <string>

#include "report/documents.h"
#include "report/models.h"

namespace quamba2::report {

std::string summary_section(const ModelTable& models);
std::string pareto_section(const ModelTable& models);
std::string layer_error_section(const Documents& documents, const ModelTable& models);
std::string outlier_section(const Documents& documents);
std::string pass_time_section(const Documents& documents);
std::string search_section(const Documents& documents);
std::string ablation_section(const Documents& documents);
std::string speed_section(const Documents& documents);
std::string raw_tables_section(const Documents& documents);

}  // namespace quamba2::report
