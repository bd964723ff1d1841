// SPDX-License-Identifier: Apache-2.0
#include "quant/clustering.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "base/check.h"

namespace quamba2 {
namespace {

struct Cluster {
  std::vector<double> mean;
  double size = 1;
  std::vector<int32_t> members;
};

// What joining two clusters adds to the sum of squares within.
double ward_cost(const Cluster& a, const Cluster& b) {
  double distance = 0;
  for (size_t i = 0; i < a.mean.size(); ++i) distance += (a.mean[i] - b.mean[i]) * (a.mean[i] - b.mean[i]);
  return a.size * b.size / (a.size + b.size) * distance;
}

Cluster joined(const Cluster& a, const Cluster& b) {
  Cluster out = a;
  out.size = a.size + b.size;
  for (size_t i = 0; i < out.mean.size(); ++i) out.mean[i] = (a.mean[i] * a.size + b.mean[i] * b.size) / out.size;
  out.members.insert(out.members.end(), b.members.begin(), b.members.end());
  return out;
}

}  // namespace

std::vector<int32_t> ward_clusters(const std::vector<std::vector<double>>& profiles, int clusters) {
  std::vector<Cluster> open;
  for (size_t i = 0; i < profiles.size(); ++i) open.push_back({profiles[i], 1, {static_cast<int32_t>(i)}});
  while (open.size() > static_cast<size_t>(clusters)) {
    size_t a = 0, b = 1;
    double least = INFINITY;
    for (size_t i = 0; i < open.size(); ++i) {
      for (size_t j = i + 1; j < open.size(); ++j) {
        const double cost = ward_cost(open[i], open[j]);
        if (cost < least) least = cost, a = i, b = j;
      }
    }
    open[a] = joined(open[a], open[b]);
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(b));
  }
  std::vector<int32_t> out(profiles.size());
  for (size_t c = 0; c < open.size(); ++c) {
    for (int32_t member : open[c].members) out[static_cast<size_t>(member)] = static_cast<int32_t>(c);
  }
  return out;
}

std::vector<int32_t> contiguous_ranges(const std::vector<double>& values, int ranges) {
  const size_t n = values.size(), most = std::min(static_cast<size_t>(ranges), n);
  std::vector<double> sum(n + 1, 0), square(n + 1, 0);
  for (size_t i = 0; i < n; ++i) sum[i + 1] = sum[i] + values[i], square[i + 1] = square[i] + values[i] * values[i];
  const auto within = [&](size_t begin, size_t end) {
    const double s = sum[end] - sum[begin];
    return square[end] - square[begin] - s * s / static_cast<double>(end - begin);
  };
  // best[k][i]: the first i values in k runs; cut[k][i]: where the last of them begins.
  std::vector<std::vector<double>> best(most + 1, std::vector<double>(n + 1, INFINITY));
  std::vector<std::vector<size_t>> cut(most + 1, std::vector<size_t>(n + 1, 0));
  best[0][0] = 0;
  for (size_t k = 1; k <= most; ++k) {
    for (size_t i = k; i <= n; ++i) {
      for (size_t j = k - 1; j < i; ++j) {
        const double cost = best[k - 1][j] + within(j, i);
        if (cost < best[k][i]) best[k][i] = cost, cut[k][i] = j;
      }
    }
  }
  std::vector<int32_t> out(n);
  for (size_t k = most, end = n; k > 0; --k) {
    for (size_t i = cut[k][end]; i < end; ++i) out[i] = static_cast<int32_t>(k - 1);
    end = cut[k][end];
  }
  return out;
}

namespace {

// One SSD group: its heads by cluster, its cells.
class GroupClusters {
 public:
  GroupClusters(const std::vector<float>& magnitudes, size_t first, size_t heads, size_t width, int clusters)
      : magnitudes_(magnitudes), first_(first), width_(width) {
    std::vector<std::vector<double>> profiles;
    for (size_t h = 0; h < heads; ++h) profiles.push_back(sorted_profile(first + h));
    const std::vector<int32_t> cluster = ward_clusters(normalized(profiles), clusters);
    order_.resize(heads);
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::stable_sort(order_.begin(), order_.end(), [&](size_t a, size_t b) { return cluster[a] < cluster[b]; });
    for (size_t begin = 0; begin < heads;) {
      size_t end = begin;
      while (end < heads && cluster[order_[end]] == cluster[order_[begin]]) ++end;
      add_cells(profiles, begin, end, cluster[order_[begin]] * clusters, clusters);
      begin = end;
    }
  }

  // Appends this group's share.
  void append(int32_t first_cell, ChannelClusters* out) const {
    for (size_t i = 0; i < order_.size(); ++i) {
      const size_t head = first_ + order_[i];
      out->head_order.push_back(static_cast<int32_t>(head));
      for (size_t p : channels(head)) out->channel_order.push_back(static_cast<int32_t>(head * width_ + p));
    }
    for (int32_t cell : cells_) out->cells.push_back(first_cell + cell);
  }

 private:
  // The channels of a head, smallest magnitude first.
  std::vector<size_t> channels(size_t head) const {
    std::vector<size_t> out(width_);
    std::iota(out.begin(), out.end(), size_t{0});
    const float* m = magnitudes_.data() + head * width_;
    std::stable_sort(out.begin(), out.end(), [&](size_t a, size_t b) { return m[a] < m[b]; });
    return out;
  }
  std::vector<double> sorted_profile(size_t head) const {
    std::vector<double> out;
    for (size_t p : channels(head)) out.push_back(static_cast<double>(magnitudes_[head * width_ + p]));
    return out;
  }
  static std::vector<std::vector<double>> normalized(std::vector<std::vector<double>> profiles) {
    for (auto& profile : profiles) {
      const double most = *std::max_element(profile.begin(), profile.end());
      for (double& v : profile) v = most > 0 ? v / most : 0;
    }
    return profiles;
  }
  void add_cells(const std::vector<std::vector<double>>& profiles, size_t begin, size_t end, int32_t first,
                 int ranges) {
    std::vector<double> mean(width_, 0);
    for (size_t i = begin; i < end; ++i) {
      for (size_t p = 0; p < width_; ++p) mean[p] += profiles[order_[i]][p] / static_cast<double>(end - begin);
    }
    const std::vector<int32_t> range = contiguous_ranges(mean, ranges);
    for (size_t i = begin; i < end; ++i) {
      for (int32_t r : range) cells_.push_back(first + r);
    }
  }

  const std::vector<float>& magnitudes_;
  size_t first_, width_;
  std::vector<size_t> order_;
  std::vector<int32_t> cells_;
};

}  // namespace

ChannelClusters cluster_channels(const std::vector<float>& magnitudes, int64_t heads, int64_t groups, int clusters) {
  QUAMBA2_CHECK(groups > 0 && heads % groups == 0 && heads > 0 && clusters > 0, "heads do not fit groups");
  const auto per_group = static_cast<size_t>(heads / groups), width = magnitudes.size() / static_cast<size_t>(heads);
  ChannelClusters out;
  for (int64_t g = 0; g < groups; ++g) {
    const GroupClusters group(magnitudes, static_cast<size_t>(g) * per_group, per_group, width, clusters);
    group.append(static_cast<int32_t>(g) * clusters * clusters, &out);
  }
  return out;
}

}  // namespace quamba2
