// SPDX-License-Identifier: Apache-2.0
#include "eval/reading_tree.h"

#include <gtest/gtest.h>

namespace quamba2 {
namespace {

using Ids = std::vector<int32_t>;

TEST(ReadingTree, WhatIsCommonIsReadOnce) {
  const Ids shared = {1, 2, 3}, question = {4, 5}, other = {4, 6};
  ReadingTree tree(true);
  for (const Ids& letter : {Ids{7}, Ids{8}}) {
    tree.add(shared, question, letter);
    tree.add(shared, other, letter);
  }
  EXPECT_EQ(tree.roots().size(), 1u);
  EXPECT_EQ(tree.stretches().size(), 3u);  // one token is predicted, not read: no stretch
  EXPECT_EQ(tree.tokens(), 3 + 2 + 2);
  EXPECT_EQ(tree.tokens_spared(), 3 * 3 + 2 * 2);
  const Stretch& of_question = tree.stretches()[1];
  ASSERT_EQ(of_question.asks.size(), 2u);
  EXPECT_EQ(of_question.asks[0].row, 1);
  EXPECT_EQ(of_question.asks[0].target, 7);
  EXPECT_EQ(of_question.asks[1].target, 8);
  EXPECT_EQ(of_question.asks[1].request, 2);
}

TEST(ReadingTree, ReadWholeItIsCutAtMultiplesOfTheChunk) {
  ReadingTree tree(true, 3);
  tree.add({}, Ids{1, 2, 3, 4}, Ids{5, 6, 7});
  tree.add(Ids{1, 2}, Ids{3}, Ids{9});
  ASSERT_EQ(tree.stretches().size(), 2u);
  EXPECT_EQ(tree.stretches()[0].ids, (Ids{1, 2, 3}));
  EXPECT_EQ(tree.stretches()[1].ids, (Ids{4, 5, 6}));
  EXPECT_EQ(tree.tokens_spared(), 3);
  const std::vector<Ask>& asks = tree.stretches()[1].asks;
  ASSERT_EQ(asks.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(asks[static_cast<size_t>(i)].row, i);
    EXPECT_EQ(asks[static_cast<size_t>(i)].target, 5 + i);
    EXPECT_EQ(asks[static_cast<size_t>(i)].position, i);
  }
  ASSERT_EQ(tree.stretches()[0].asks.size(), 1u);
  EXPECT_EQ(tree.stretches()[0].asks[0].row, 2);
  EXPECT_EQ(tree.stretches()[0].asks[0].target, 9);
  EXPECT_EQ(tree.stretches()[0].asks[0].request, 1);
}

TEST(ReadingTree, WithoutSharingTheCutsAreTheSame) {
  for (const bool share : {true, false}) {
    ReadingTree tree(share);
    const Ids context = {1, 2};
    EXPECT_EQ(tree.add({}, context, Ids{3, 4, 5}), 0);
    EXPECT_EQ(tree.add({}, context, Ids{3, 4, 6}), 1);
    EXPECT_EQ(tree.lengths(), (Ids{3, 3}));
    EXPECT_EQ(tree.roots().size(), share ? 1u : 2u);
    EXPECT_EQ(tree.stretches().size(), share ? 2u : 4u);
    EXPECT_EQ(tree.stretches()[1].ids, (Ids{3, 4}));
    EXPECT_EQ(tree.stretches()[1].asks.back().target, share ? 6 : 5);
    EXPECT_EQ(tree.stretches()[1].asks.back().position, 2);
  }
}

TEST(ReadingTree, EqualTokensBehindDifferentParentsStayApart) {
  ReadingTree tree(true);
  tree.add(Ids{1}, Ids{2}, Ids{3, 4});
  tree.add(Ids{9}, Ids{2}, Ids{3, 4});
  EXPECT_EQ(tree.stretches().size(), 6u);
  EXPECT_EQ(tree.tokens_spared(), 0);
}

}  // namespace
}  // namespace quamba2
