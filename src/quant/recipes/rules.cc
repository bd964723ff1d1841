// SPDX-License-Identifier: Apache-2.0
#include "quant/recipes/rules.h"

#include <algorithm>

#include "quamba2/error.h"
#include "quant/recipes/formats.h"

namespace quamba2 {
namespace {

using OptionalTarget = std::optional<ActivationTarget>;

constexpr int kGroup = 128;
// Where the head shares the embedding's table the default has bytes to spare that the paper spends on a second one.
constexpr int kGroupOfTied = 64;
// Where the paper clips by percentile: the input of Mamba1's x_proj, whose outliers are few and far out.
constexpr double kPercentile = 0.99995;

bool is_one_of(const std::string& role, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return role == name; });
}

bool is_table(const std::string& role) { return is_one_of(role, {"embedding.weight", "lm_head.weight"}); }
bool is_inner_linear(const std::string& role) {
  return is_one_of(role, {"in_proj.weight", "out_proj.weight", "x_proj.weight"});
}
// Written by a linear or the conv, read by the conv, the scan or the gate.
bool is_scan_input(const std::string& role) {
  return is_one_of(role, {"x_in", "xbc", "x", "b", "c", "dt", "z", "z0", "x0"});
}

std::optional<Format> table_format(int bits, int group, bool two_levels) {
  switch (bits) {
    case 4: return two_levels ? i4_two_levels(group) : i4_group(group);
    case 6: return i6_group(group);
    case 8: return i8_row();
    case 16: return std::nullopt;
    default:
      throw Error(ErrorCode::kUsage, "table bits out of range", std::to_string(bits),
                  "embedding and head take 4, 6, 8 or 16 bits");
  }
}

std::optional<Format> weight_format(const std::string& role, Widths widths, int group) {
  if (is_inner_linear(role)) {
    if (widths.weights == 8) return i8_row();
    return widths.a8 ? i4_two_levels(group) : i4_group(group);
  }
  if (role == "dt_proj.weight") return i8_row();
  if (role == "conv1d.weight" && widths.a8) return i8_row();
  return std::nullopt;
}

// One scale a tensor measured offline, but for what the paper gives more: x a cluster, B and C an SSD group.
OptionalTarget static_edge(const std::string& role, bool feeds_linear, const Ingredients& with) {
  if (!feeds_linear && !is_scan_input(role)) return std::nullopt;
  if (role == "x" && with.cluster) {
    return feeds_linear ? ActivationTarget{i8_tensor(), kPercentile}
                        : ActivationTarget{i8_column(), 0, Sharing::kCluster};
  }
  if (is_one_of(role, {"b", "c"}) && !feeds_linear && with.group_bc)
    return ActivationTarget{i8_column(), 0, Sharing::kGroup};
  return ActivationTarget{i8_tensor()};
}

// A scale a token where a norm, a gate or the Hadamard sees the whole row when it writes it; a scale a channel elsewhere,
// which costs nothing at run time; one for all where a linear multiplies what another one wrote.
OptionalTarget fine_edge(const std::string& role, bool feeds_linear) {
  if (is_one_of(role, {"dt_low", "x"}) && feeds_linear) return ActivationTarget{i8_tensor()};
  if (feeds_linear) return ActivationTarget{i8_dynamic_row()};
  if (is_scan_input(role)) return ActivationTarget{i8_column()};
  return std::nullopt;
}

}  // namespace

FormatRules format_rules(const RecipeOptions& options, bool tied, std::function<Widths(int64_t layer)> widths) {
  const Ingredients with = options.ingredients;
  const int group = options.group ? options.group : tied && with.shared_table ? kGroupOfTied : kGroup;
  const Widths head = widths(-1);
  const int table_bits = options.table_bits ? options.table_bits : head.weights == 8 ? 8 : with.shared_table ? 6 : 4;
  FormatRules rules;
  rules.weight = [=](const std::string& role, int64_t layer) {
    if (is_table(role)) return table_format(table_bits, group, head.a8 && role == "lm_head.weight");
    return weight_format(role, widths(layer), group);
  };
  rules.edge = [=](const std::string& role, bool feeds_linear, int64_t layer) -> OptionalTarget {
    if (!widths(layer).a8) return std::nullopt;
    if (layer < 0 && !feeds_linear) return std::nullopt;
    return with.fine_scales ? fine_edge(role, feeds_linear) : static_edge(role, feeds_linear, with);
  };
  rules.state = [=](const std::string& role, int64_t layer) -> OptionalTarget {
    if (role != "ssm_state") return std::nullopt;  // the conv's is like its input
    if (!widths(layer).a8 || with.f16_state) return ActivationTarget{f16()};
    if (with.dynamic_state) return ActivationTarget{i8_dynamic_state()};
    return ActivationTarget{i8_column(), 0, Sharing::kCluster};
  };
  return rules;
}

Recipe make_recipe(const char* name, const RecipeOptions& options, FormatRules rules, bool a8) {
  const Ingredients with = options.ingredients;
  const ScaleChoice scales = with.refine ? ScaleChoice::kLeastSquares : ScaleChoice::kLargest;
  const bool clusters = a8 && with.cluster && !with.fine_scales;
  GptqPassOptions rounding;
  if (!with.refine) {
    rounding.rounding = {.damp = 0.01, .act_order = false, .refinements = 0, .scales = scales};
    rounding.to_nearest = {"x_proj.weight"};
  }
  Recipe out{name, {}};
  const auto add = [&](Pass pass) { out.passes.push_back(std::move(pass)); };
  if (!with.shared_table) add(untie_head());
  add(fold_norms());
  if (with.rotate_residual) add(rotate_residual());
  if (clusters) add(cluster_channels(4));
  if (a8 && with.fine_scales) add(separate_x_proj());
  if (with.rotate_inner) add(rotate_inner(clusters ? facts(Fact::kClustered) : 0));
  add(set_formats(std::move(rules)));
  add(observe_formats(a8));
  add(encode_activations());
  if (with.gptq) add(gptq(rounding));
  add(encode_weights(scales));
  return out;
}

}  // namespace quamba2
