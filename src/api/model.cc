// SPDX-License-Identifier: Apache-2.0
#include "quamba2/model.h"

#include <algorithm>
#include <map>

#include "api/load_model.h"
#include "io/artifact.h"
#include "quant/roles.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

// "in_proj.weight" -> "in_proj"; biases and small parameters keep their names.
std::string part_name(const std::string& weight) {
  if (weight.find(".mixer.norm.") != weight.npos) return "gated norm";
  std::string role = weight_role(weight);
  const size_t dot = role.rfind(".weight");
  return dot == role.npos ? role : role.substr(0, dot);
}

void add(std::vector<PartSize>* parts, const std::string& part, const std::string& format, const std::string& shape,
         int64_t parameters, uint64_t bytes) {
  auto at = std::find_if(parts->begin(), parts->end(),
                         [&](const PartSize& p) { return p.part == part && p.format == format; });
  if (at == parts->end()) at = parts->insert(parts->end(), {part, format, shape, 0, 0, 0});
  ++at->tensors;
  at->parameters += parameters;
  at->bytes += bytes;
}

}  // namespace

Model::Model(std::unique_ptr<ModelData> data) : data_(std::move(data)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Model Model::from_pretrained(const std::string& path_or_name) {
  return Model(std::make_unique<ModelData>(load_model(path_or_name)));
}

Model Model::from_data(std::unique_ptr<ModelData> data) { return Model(std::move(data)); }

const std::string& Model::name() const { return data_->name; }
const std::string& Model::family() const { return data_->family; }
const std::string& Model::recipe() const { return data_->recipe; }
int64_t Model::layers() const { return data_->n_layer; }
int64_t Model::d_model() const { return data_->d_model; }
int64_t Model::vocab_size() const { return data_->vocab_size; }
bool Model::tied() const { return data_->tied; }

std::string Model::config() const { return data_->config.is_object() ? data_->config.dump() : "{}"; }

int64_t Model::parameters() const {
  int64_t n = 0;
  for (const Weight& w : data_->graph.weights) n += w.values.elements();
  return n;
}

uint64_t Model::weight_bytes() const {
  uint64_t bytes = 0;
  for (const PartSize& part : parts()) bytes += part.bytes;
  return bytes;
}

uint64_t Model::bf16_bytes() const { return 2 * static_cast<uint64_t>(parameters()); }

std::vector<PartSize> Model::parts() const {
  std::vector<PartSize> out;
  for (const Weight& w : data_->graph.weights) {
    add(&out, part_name(w.name), format_text(w.stored_format()), shape_text(w.values.shape()), w.values.elements(),
        w.stored_bytes());
  }
  uint64_t scales = 0;
  int64_t count = 0;
  const auto add_scales = [&](const Tensor& t) {
    if (!t.empty()) scales += narrowed(t).bytes(), ++count;
  };
  for (const Edge& e : data_->graph.edges) add_scales(e.encoding.scales);
  for (const State& s : data_->graph.states) add_scales(s.encoding.scales);
  if (count > 0) out.push_back({"activation scales", "bf16", "", count, 0, scales});
  return out;
}

uint64_t Model::state_bytes() const {
  uint64_t bytes = 0;
  for (const State& s : data_->graph.states) {
    const Format& f =
        s.like == kNone ? s.encoding.format : data_->graph.edges[static_cast<size_t>(s.like)].encoding.format;
    uint64_t elements = 1;
    for (int32_t d : s.shape) elements *= static_cast<uint64_t>(d);
    // The history of an input whose rows have a scale each is kept in f32.
    const int bits = s.like != kNone && f.dynamic ? 32 : bits_of(f.storage);
    bytes += elements * static_cast<uint64_t>(bits) / 8;
    if (s.like == kNone && f.dynamic) bytes += 4 * static_cast<uint64_t>(dynamic_state_scales(s));
  }
  return bytes;
}

void Model::save(const std::string& directory, bool replace) const { write_artifact(*data_, directory, replace); }

}  // namespace quamba2
