// SPDX-License-Identifier: Apache-2.0
#include "api/fingerprint.h"

#include <algorithm>

#include "base/hash.h"
#include "tensor/operand.h"

namespace quamba2 {
namespace {

// A few short pieces: reading all of a mapped file would double the time of loading.
constexpr size_t kPieces = 4, kPieceBytes = 64;

void add_sample(Fnv1a* hash, const Tensor& tensor) {
  const auto* data = static_cast<const char*>(tensor.data());
  const size_t bytes = tensor.bytes();
  if (bytes <= kPieces * kPieceBytes) return hash->add(data, bytes);
  for (size_t i = 0; i < kPieces; ++i) hash->add(data + (bytes - kPieceBytes) / kPieces * (i + 1), kPieceBytes);
}

void add_encoding(Fnv1a* hash, const std::string& name, const Encoding& encoding) {
  hash->add_field(name);
  hash->add_field(format_text(encoding.format));
  hash->add_field(shape_text(encoding.scales.shape()));
  add_sample(hash, encoding.scales);
}

}  // namespace

std::string fingerprint_of(const ModelData& model) {
  Fnv1a hash;
  hash.add_field(model.config.dump(-1));
  hash.add_field(model.recipe);
  for (const Weight& w : model.graph.weights) {
    hash.add_field(w.name);
    hash.add_field(format_text(w.format));
    hash.add_field(shape_text(w.values.shape()));
    add_sample(&hash, w.values);
    for (const Tensor& scales : w.scales) add_sample(&hash, scales);
  }
  for (const Edge& e : model.graph.edges) add_encoding(&hash, e.name, e.encoding);
  for (const State& s : model.graph.states) add_encoding(&hash, s.name, s.encoding);
  return hex_digits(hash.value());
}

}  // namespace quamba2
