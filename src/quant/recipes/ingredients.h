// SPDX-License-Identifier: Apache-2.0
// What recipes are made of beside their bits: each ingredient can be had alone. A preset is a set of them; an ablation
// adds them one by one.
#pragma once

#include <string>
#include <vector>

namespace quamba2 {

// All off: weights rounded to nearest in groups, one static scale for every activation, a head with its own table.
struct Ingredients {
  bool rotate_residual = false;  // offline Hadamard of the residual stream
  bool rotate_inner = false;     // online Hadamard in front of out_proj
  bool gptq = false;             // 4- and 6-bit weights rounded by their inputs
  bool group_bc = false;         // B and C: a scale an SSD group
  bool cluster = false;       // x: a scale a cluster of heads and channels (Mamba2), clipped at a percentile (Mamba1)
  bool shared_table = false;  // tied models keep one table; it has 6 bits where the paper's two have 4
  bool refine = false;        // act-order, least-squares scales and coordinate descent behind GPTQ
  bool fine_scales =
      false;  // a scale a token where a whole row is written, a channel elsewhere; cluster has no use then
  bool dynamic_state = false;  // INT8 states: a scale a channel and 32 of N, computed whenever they are stored
  bool f16_state = false;      // states of 8-bit recipes in F16 between steps, where they are INT8 without
};

inline constexpr Ingredients kAllIngredients = {true, true, true, true, true, true, true, true, true, true};

struct IngredientEntry {
  const char* name;
  const char* summary;
  bool Ingredients::* member;
};

// In the order in which an ablation adds them.
const std::vector<IngredientEntry>& ingredient_index();
// Throws Error{kUsage} with the list of known ones.
const IngredientEntry& find_ingredient(const std::string& name);

}  // namespace quamba2
