// SPDX-License-Identifier: Apache-2.0
#include "report/scatter.h"

#include <gtest/gtest.h>

namespace quamba2::report {
namespace {

using Indices = std::vector<size_t>;

std::vector<ScatterPoint> points(const std::vector<std::pair<double, double>>& at) {
  std::vector<ScatterPoint> out;
  for (const auto& [x, y] : at) out.push_back({x, y, "p" + std::to_string(out.size()), "", 0, false});
  return out;
}

size_t count(const std::string& text, const std::string& what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(Front, OfSmallerIsBetter) {
  EXPECT_EQ(front_of(points({{3, 1}, {1, 3}, {2, 2}, {3, 2}, {2, 4}}), false), (Indices{1, 2, 0}));
  EXPECT_EQ(front_of(points({{1, 1}, {2, 2}}), false), (Indices{0}));
}

TEST(Front, OfMoreIsBetter) {
  EXPECT_EQ(front_of(points({{3, 3}, {1, 1}, {2, 2}, {1, 2}, {2, 4}}), true), (Indices{1, 2, 0}));
  EXPECT_EQ(front_of(points({{1, 2}, {2, 1}}), true), (Indices{1}));
}

TEST(Front, EqualAndUnknownPoints) {
  EXPECT_EQ(front_of(points({{1, 1}, {1, 1}, {1, 2}}), false), (Indices{0}));
  EXPECT_EQ(front_of(points({{1, kUnknown}, {kUnknown, 1}}), false), (Indices{}));
  EXPECT_EQ(front_of({}, true), (Indices{}));
}

TEST(Scatter, DrawsWhatHasBothCoordinates) {
  ScatterChart chart{"name", "x", "y", false, points({{1, kUnknown}}), kUnknown};
  EXPECT_EQ(scatter(chart), "");
  chart.points = points({{1, 0.1}, {kUnknown, 1}, {2, 0.05}});
  const std::string svg = scatter(chart);
  EXPECT_EQ(count(svg, "<circle"), 2u);
  EXPECT_NE(svg.find(">p0</text>"), std::string::npos);
  EXPECT_NE(svg.find(">p2</text>"), std::string::npos);
  EXPECT_EQ(svg.find(">p1</text>"), std::string::npos);
}

// Labels of a heap find places around it, no two the same; those that do not fit are left out.
TEST(Scatter, LabelsOfAHeapAreApart) {
  std::vector<std::pair<double, double>> heap(100, {5, 0.1});
  heap.push_back({1, 1});
  heap.push_back({9, 0.01});
  const std::string svg = scatter({"name", "x", "y", false, points(heap), kUnknown});
  EXPECT_EQ(count(svg, "<circle"), 102u);
  std::vector<std::string> places;
  for (size_t at = svg.find("label halo"); at != std::string::npos; at = svg.find("label halo", at + 1)) {
    places.push_back(svg.substr(at, svg.find('>', at) - at));
  }
  EXPECT_GE(places.size(), 4u);
  EXPECT_LE(places.size(), 14u);
  std::sort(places.begin(), places.end());
  EXPECT_EQ(std::unique(places.begin(), places.end()), places.end());
}

TEST(Scatter, LimitIsDrawnWhereItIsNear) {
  ScatterChart chart{"name", "x", "y", false, points({{40, 0.1}, {60, 0.05}}), 52};
  EXPECT_EQ(count(scatter(chart), "class=\"limit\""), 1u);
  chart.limit = 1e9;
  EXPECT_EQ(count(scatter(chart), "class=\"limit\""), 0u);
}

}  // namespace
}  // namespace quamba2::report
