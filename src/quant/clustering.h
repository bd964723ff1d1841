// SPDX-License-Identifier: Apache-2.0
// The mathematics of sort-and-cluster (arXiv 2503.22879, section 3.2; method.md 2.4). Everything is stable: equal inputs
// keep their order.
#pragma once

#include <cstdint>
#include <vector>

namespace quamba2 {

// Agglomerative clustering with Ward's criterion of `profiles` (equal lengths) into at most `clusters`. Gives the cluster
// of each, numbered in the order of their first members.
std::vector<int32_t> ward_clusters(const std::vector<std::vector<double>>& profiles, int clusters);

// Cuts an ordered sequence into at most `ranges` runs with the least sum of squares within (k-means in one dimension,
// exactly, by dynamic programming). Gives the run of each position, ascending.
std::vector<int32_t> contiguous_ranges(const std::vector<double>& values, int ranges);

struct ChannelClusters {
  std::vector<int32_t> channel_order, head_order;  // position i takes what was at order[i]
  std::vector<int32_t> cells;                      // of every channel in its place: (group, head cluster, range)
};

// `magnitudes` of channels [H, P], heads in `groups` equal SSD groups.
ChannelClusters cluster_channels(const std::vector<float>& magnitudes, int64_t heads, int64_t groups, int clusters);

}  // namespace quamba2
