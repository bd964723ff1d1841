// SPDX-License-Identifier: Apache-2.0
#include "ops/elementwise.h"

#include "ops/embed.h"
#include "ops/gate.h"
#include "ops/reference/math.h"
#include "ops/select_rows.h"

namespace quamba2 {

void reference_embed(const EmbedArgs& args) {
  const int64_t width = row_length(args.out.values);
  std::vector<double> row(static_cast<size_t>(width));
  for (int64_t t = 0; t < args.ids.dim[0]; ++t) {
    const int32_t id = static_cast<const int32_t*>(args.ids.data)[t];
    for (int64_t d = 0; d < width; ++d) row[static_cast<size_t>(d)] = decode_element(args.table, id, d);
    encode_row(args.out, t, row.data());
  }
}

void reference_select_rows(const SelectRowsArgs& args) {
  const int64_t width = row_length(args.x.values);
  std::vector<double> row(static_cast<size_t>(width));
  for (int64_t r = 0; r < args.rows.dim[0]; ++r) {
    const int32_t t = static_cast<const int32_t*>(args.rows.data)[r];
    for (int64_t d = 0; d < width; ++d) row[static_cast<size_t>(d)] = decode_element(args.x, t, d);
    encode_row(args.out, r, row.data());
  }
}

void reference_add(const AddArgs& args) {
  const std::vector<double> a = decode(args.a), b = decode(args.b);
  std::vector<double> sum(a.size());
  for (size_t i = 0; i < a.size(); ++i) sum[i] = a[i] + b[i];
  encode(sum, args.out);
}

void reference_convert(const ConvertArgs& args) { encode(decode(args.x), args.out); }

void reference_gate(const GateArgs& args) {
  const std::vector<double> y = decode(args.y), z = decode(args.z);
  const auto width = static_cast<size_t>(row_length(args.y.values));
  std::vector<double> row(width);
  for (size_t t = 0; t * width < y.size(); ++t) {
    for (size_t i = 0; i < width; ++i) row[i] = y[t * width + i] * reference::silu(z[t * width + i]);
    reference::rotate(args.rotation, &row);
    encode_row(args.out, static_cast<int64_t>(t), row.data());
  }
}

}  // namespace quamba2
