// SPDX-License-Identifier: Apache-2.0
#include "quamba2/state_file.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>

#include "base/file.h"
#include "base/hash.h"
#include "io/safetensors.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr const char* kKind = "quamba2 state";
constexpr const char* kVersion = "1";
constexpr std::string_view kNote = "note.";  // begins the names of notes among the metadata

[[noreturn]] void refuse(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::kModelFile, "bad state file", where, why,
              "give a file that --save-state or /save wrote, or make it again");
}

// Of everything but itself.
std::string checksum(const StringMap& metadata, std::string_view ids, std::string_view state) {
  Fnv1a hash;
  for (const auto& [name, value] : metadata) {
    if (name == "checksum") continue;
    hash.add_field(name);
    hash.add_field(value);
  }
  hash.add(ids);
  hash.add(state);
  return hex_digits(hash.value());
}

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Tensor tensor_of(DType dtype, int64_t elements, std::string_view bytes) {
  Tensor out(dtype, {elements});
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

const std::string& member(const StringMap& metadata, const std::string& name, const std::string& where) {
  const auto at = metadata.find(name);
  if (at == metadata.end()) refuse(where, "it has no \"" + name + "\"");
  return at->second;
}

uint64_t number(const StringMap& metadata, const std::string& name, const std::string& where) {
  const std::string& text = member(metadata, name, where);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    refuse(where, "\"" + name + "\" is no whole number: '" + text.substr(0, 40) + "'");
  return value;
}

int64_t count_up_to(int64_t most, const StringMap& metadata, const std::string& name, const std::string& where) {
  const uint64_t value = number(metadata, name, where);
  if (value > static_cast<uint64_t>(most))
    refuse(where, "\"" + name + "\" is " + std::to_string(value) + ", of " + std::to_string(most));
  return static_cast<int64_t>(value);
}

// The bytes of a tensor, which has one dimension; none where there is none of that name.
std::string_view tensor_bytes(const SafetensorsLayout& layout, std::string_view file, const std::string& name,
                              DType dtype, const std::string& where) {
  const auto at = std::find_if(layout.entries.begin(), layout.entries.end(),
                               [&](const SafetensorsEntry& entry) { return entry.name == name; });
  if (at == layout.entries.end()) return {};
  if (at->dtype != dtype || at->shape.size() != 1)
    refuse(where, "\"" + name + "\" has another type or shape than a state file's");
  return file.substr(at->begin, at->end - at->begin);
}

StringMap metadata_of(const PausedText& paused) {
  StringMap out = {{"format", kKind},
                   {"version", kVersion},
                   {"model", paused.model},
                   {"recipe", paused.recipe},
                   {"fingerprint", paused.fingerprint},
                   {"read", std::to_string(paused.read)},
                   {"prompt_tokens", std::to_string(paused.prompt_tokens)},
                   {"seed", std::to_string(paused.seed)},
                   {"draws", std::to_string(paused.draws)}};
  for (const auto& [name, text] : paused.notes) out[std::string(kNote) + name] = text;
  return out;
}

}  // namespace

void save_state_file(const PausedText& paused, const std::string& path) {
  StringMap metadata = metadata_of(paused);
  const std::string_view ids = bytes_of(paused.ids);
  const std::string_view state = paused.state ? bytes_of(*paused.state) : std::string_view();
  metadata["checksum"] = checksum(metadata, ids, state);
  NamedTensors tensors;
  if (!ids.empty()) tensors.emplace_back("ids", tensor_of(DType::kI32, static_cast<int64_t>(paused.ids.size()), ids));
  if (!state.empty()) tensors.emplace_back("state", tensor_of(DType::kU8, static_cast<int64_t>(state.size()), state));
  write_safetensors(path, tensors, metadata);
}

PausedText load_state_file(const std::string& path) {
  const std::shared_ptr<MappedFile> file = MappedFile::open(path);
  return parse_state_file({reinterpret_cast<const char*>(file->data()), file->size()}, path);
}

PausedText parse_state_file(std::string_view file, const std::string& where) {
  const SafetensorsLayout layout = parse_safetensors(file, where);
  const StringMap& metadata = layout.metadata;
  const auto kind = metadata.find("format");
  if (kind == metadata.end() || kind->second != kKind) refuse(where, "it is a safetensors file of another kind");
  const std::string& version = member(metadata, "version", where);
  if (version != kVersion)
    refuse(where, "it has version " + version.substr(0, 40) + ", this program reads " + kVersion);
  const std::string_view ids = tensor_bytes(layout, file, "ids", DType::kI32, where);
  const std::string_view state = tensor_bytes(layout, file, "state", DType::kU8, where);

  PausedText out;
  out.ids.resize(ids.size() / sizeof(int32_t));  // no more than the file holds
  if (!ids.empty()) std::memcpy(out.ids.data(), ids.data(), ids.size());
  const auto length = static_cast<int64_t>(out.ids.size());
  out.read = count_up_to(length, metadata, "read", where);
  out.prompt_tokens = count_up_to(length, metadata, "prompt_tokens", where);
  out.seed = number(metadata, "seed", where);
  out.draws = number(metadata, "draws", where);
  out.model = member(metadata, "model", where);
  out.recipe = member(metadata, "recipe", where);
  out.fingerprint = member(metadata, "fingerprint", where);
  for (const auto& [name, text] : metadata) {
    if (name.starts_with(kNote)) out.notes[name.substr(kNote.size())] = text;
  }
  if (std::any_of(out.ids.begin(), out.ids.end(), [](int32_t id) { return id < 0; }))
    refuse(where, "it has token ids below 0");
  if ((out.read > 0) != !state.empty()) refuse(where, "tokens that were read and the state do not go together");
  if (member(metadata, "checksum", where) != checksum(metadata, ids, state))
    refuse(where, "the checksum is wrong: the file is damaged");
  if (!state.empty()) {
    const auto* first = reinterpret_cast<const std::byte*>(state.data());
    out.state = std::make_shared<const std::vector<std::byte>>(first, first + state.size());
  }
  return out;
}

}  // namespace quamba2
