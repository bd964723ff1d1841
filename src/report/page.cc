// SPDX-License-Identifier: Apache-2.0
#include "report/page.h"

#include <fmt/format.h>

#include <vector>

#include "report/html.h"
#include "report/models.h"
#include "report/sections.h"
#include "report/style.h"
#include "report/text.h"

namespace quamba2::report {
namespace {

struct Section {
  const char *id, *name;
  std::string html;
};

// Scripts and loads are forbidden by the page itself too: names in it come from files of others.
constexpr std::string_view kHead =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n";

std::string default_title(const Documents& documents) {
  std::string model;
  if (!documents.comparisons.empty())
    model = documents.comparisons[0].a.model;
  else if (!documents.quantizations.empty())
    model = documents.quantizations[0].model;
  else if (!documents.searches.empty())
    model = documents.searches[0].model;
  else if (!documents.ablations.empty())
    model = documents.ablations[0].model;
  else if (!documents.bench.empty())
    model = documents.bench[0].model;
  return model.empty() ? "Quantization report" : "Quantization report: " + model_name(model);
}

std::string contents(const std::vector<Section>& sections) {
  std::string out;
  for (const Section& s : sections) {
    if (!s.html.empty()) out += fmt::format("<li><a href=\"#{}\">{}</a></li>", s.id, escape(s.name));
  }
  return out.empty() ? "" : "<nav><ul>" + out + "</ul></nav>\n";
}

std::string sources(const Documents& documents) {
  HtmlTable table;
  table.column("file", false).column("kind", false);
  for (const Source& source : documents.sources) table.row({source.name, source.kind});
  return table.empty() ? "" : details("Made from these files", table.html());
}

}  // namespace

std::string page(const Documents& documents, const std::string& title) {
  const ModelTable models = join_models(documents);
  const std::vector<Section> sections = {{"summary", "Models", summary_section(models)},
                                         {"pareto", "Quality against cost", pareto_section(models)},
                                         {"layers", "Layers", layer_error_section(documents, models)},
                                         {"outliers", "Outliers", outlier_section(documents)},
                                         {"times", "Time", pass_time_section(documents)},
                                         {"search", "Search", search_section(documents)},
                                         {"ablation", "Ablation", ablation_section(documents)},
                                         {"speed", "Speed", speed_section(documents)},
                                         {"figures", "All figures", raw_tables_section(documents)}};
  const std::string name = escape(title.empty() ? default_title(documents) : title);
  std::string out = fmt::format("{}<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<h1>{}</h1>\n", kHead, name,
                                style_sheet(), name);
  out += contents(sections);
  std::string body;
  for (const Section& s : sections) body += s.html;
  if (body.empty()) body = paragraph("The files hold no figures that a report could show.");
  out += body + "<footer>\n" + sources(documents) + paragraph("Written by quamba2 report.") +
         "</footer>\n</body>\n</html>\n";
  return out;
}

}  // namespace quamba2::report
