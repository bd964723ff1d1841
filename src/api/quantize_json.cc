// SPDX-License-Identifier: Apache-2.0
// What quantizing reads and writes as JSON.
#include "base/json.h"
#include "quamba2/error.h"
#include "quamba2/quantize.h"

namespace quamba2 {
namespace {

Json describe(const PassReport& pass) {
  Json out;
  out.set("part", pass.part);
  out.set("pass", pass.pass);
  out.set("seconds", Json::finite(pass.seconds));
  out.set("detail", pass.detail);
  if (pass.error >= 0) out.set("relative_error", Json::finite(pass.error));
  if (pass.outliers.empty()) return out;
  Json list(Json::Array{});
  for (const OutlierChange& change : pass.outliers) {
    Json one;
    one.set("edge", change.reader);
    one.set("before", Json::finite(change.before));
    one.set("after", Json::finite(change.after));
    list.push_back(std::move(one));
  }
  out.set("outliers", std::move(list));
  return out;
}

// The list itself, or where a search, a point of it, or a file by hand holds it.
const Json* find_layers(const Json& json) {
  if (json.is_array()) return &json;
  if (const Json* list = json.find("layers")) return list;
  const Json* best = json.find("best");
  return best ? best->find("layers") : nullptr;
}

}  // namespace

std::string to_json(const QuantizeReport& report) {
  Json out;
  out.set("kind", "quantization");
  out.set("model", report.model);
  out.set("recipe", report.recipe);
  out.set("preset", report.preset);
  out.set("bytes_before", static_cast<int64_t>(report.bytes_before));
  out.set("bytes_after", static_cast<int64_t>(report.bytes_after));
  out.set("device", report.device);
  if (report.peak_device_bytes > 0) out.set("peak_device_bytes", static_cast<int64_t>(report.peak_device_bytes));
  if (report.peak_host_bytes > 0) out.set("peak_host_bytes", static_cast<int64_t>(report.peak_host_bytes));
  Json passes(Json::Array{});
  for (const PassReport& pass : report.passes) passes.push_back(describe(pass));
  out.set("passes", std::move(passes));
  return out.dump() + "\n";
}

std::vector<std::string> parse_layers(const std::string& json, const std::string& where) {
  const auto fail = [&](const std::string& why) -> Error {
    return Error(ErrorCode::kUsage, "no list of layers", where, why,
                 "give JSON: [\"w4a8\", \"w4a16\", ...], one entry a layer, or the file that 'quamba2 search' wrote");
  };
  Json parsed;
  try {
    parsed = Json::parse(json, where);
  } catch (const Error& e) {
    throw fail(e.what());
  }
  const Json* list = find_layers(parsed);
  if (!list || !list->is_array()) throw fail("it holds no list");
  std::vector<std::string> out;
  for (const Json& entry : list->as_array(where)) {
    if (!entry.is_string()) throw fail("entry " + std::to_string(out.size()) + " is no text");
    out.push_back(entry.as_string(where));
  }
  if (out.empty()) throw fail("the list is empty");
  return out;
}

}  // namespace quamba2
