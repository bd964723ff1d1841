// SPDX-License-Identifier: Apache-2.0
#include "api/calibration_text.h"

#include <algorithm>
#include <numeric>
#include <string_view>

#include "base/json.h"
#include "base/random.h"
#include "quamba2/error.h"
#include "quamba2/tokenizer.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

// A tokenizer would read invalid bytes as U+FFFD: the ranges would be those of another text.
void check_utf8(const std::string& text) {
  const size_t valid = utf8_valid_prefix(text);
  if (valid == text.size()) return;
  throw Error(ErrorCode::kUsage, "calibration text is not UTF-8", "byte " + std::to_string(valid),
              "it cannot be tokenized", "convert the file to UTF-8");
}

// `samples` windows of the text, chosen by the seed, in random order.
std::vector<std::vector<int32_t>> cut_windows(const std::vector<int32_t>& ids, const QuantizeOptions& options) {
  const int64_t window = options.calibration_window;
  const int64_t available = static_cast<int64_t>(ids.size()) / window;
  if (available == 0) {
    throw Error(ErrorCode::kUsage, "calibration text too short", "",
                std::to_string(ids.size()) + " tokens are no window of " + std::to_string(window),
                "give more text, or a smaller --calib-window");
  }
  std::vector<int64_t> order(static_cast<size_t>(available));
  std::iota(order.begin(), order.end(), 0);
  Random random(options.seed);
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
  order.resize(static_cast<size_t>(std::min(available, options.calibration_samples)));
  std::vector<std::vector<int32_t>> out;
  for (int64_t w : order) out.emplace_back(ids.begin() + w * window, ids.begin() + (w + 1) * window);
  return out;
}

// Calls `visit` with every line that is not blank, counted from 1.
template <class Visit>
void for_each_line(std::string_view text, const Visit& visit) {
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    ++number;
    if (line.find_first_not_of(" \t\r") != line.npos && !visit(line, number)) return;
    at = end + 1;
  }
}

bool is_document(const Json& json) {
  const Json* text = json.find("text");
  return text && text->is_string();
}

// Whether the first line is a JSON object with a text: prose that begins with a brace is not.
bool is_jsonl(std::string_view text) {
  bool found = false;
  for_each_line(text, [&](std::string_view line, int64_t) {
    if (line.front() != '{') return false;
    try {
      found = is_document(Json::parse(line, "calibration text"));
    } catch (const Error&) {}
    return false;
  });
  return found;
}

// Ids of plain text; of JSON lines {"text": ...} one document after the other, each ended by the end-of-text token.
std::vector<int32_t> read_documents(const Tokenizer& tokenizer, const std::string& text) {
  if (!is_jsonl(text)) return tokenizer.encode(text);
  std::vector<int32_t> out;
  for_each_line(text, [&](std::string_view line, int64_t number) {
    const std::string where = "calibration text, line " + std::to_string(number);
    const Json json = Json::parse(line, where);
    if (!is_document(json)) {
      throw Error(ErrorCode::kUsage, "no document", where, "the line has no member \"text\" that is a string",
                  "give one JSON object a line, each with a text");
    }
    const std::vector<int32_t> ids = tokenizer.encode(json.get("text", ""));
    out.insert(out.end(), ids.begin(), ids.end());
    if (tokenizer.eos_id()) out.push_back(*tokenizer.eos_id());
    return true;
  });
  return out;
}

}  // namespace

std::vector<std::vector<int32_t>> calibration_windows(const ModelData& model, const QuantizeOptions& options) {
  if (options.calibration_text.empty()) {
    throw Error(ErrorCode::kUsage, "no calibration text", options.recipe,
                "it measures ranges and inputs of weights on text", "pass --calib FILE");
  }
  if (options.calibration_samples < 1 || options.calibration_window < 2) {
    throw Error(ErrorCode::kUsage, "calibration size out of range", "", "at least one sample of two tokens is needed");
  }
  check_utf8(options.calibration_text);
  const auto tokenizer = Tokenizer::load(options.tokenizer.empty() ? model.directory : options.tokenizer);
  const int64_t rows = model.graph.edges[static_cast<size_t>(model.graph.logits)].columns;
  if (tokenizer->vocab_size() > rows) {
    throw Error(ErrorCode::kModelFile, "tokenizer does not fit the model", model.directory,
                "it has " + std::to_string(tokenizer->vocab_size()) + " ids, the embedding has " +
                    std::to_string(rows) + " rows",
                "use the tokenizer that the model was trained with");
  }
  return cut_windows(read_documents(*tokenizer, options.calibration_text), options);
}

}  // namespace quamba2
