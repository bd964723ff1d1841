// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <gtest/gtest.h>

#include "quamba2/error.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

TEST(AtomicFile, AppearsOnlyOnCommit) {
  const std::string dir = testing::temporary_directory();
  const std::string path = join_path(dir, "a.txt");
  {
    AtomicFile abandoned(path);
    abandoned.write("half");
  }
  EXPECT_TRUE(list_files(dir).empty());
  AtomicFile file(path);
  file.write("whole");
  EXPECT_FALSE(path_exists(path));
  file.commit();
  EXPECT_EQ(read_file(path), "whole");
}

TEST(AtomicFile, FullDiskIsNamed) {
  if (!path_exists("/dev/full")) GTEST_SKIP();
  try {
    AtomicFile file("/proc/nowhere/x");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kRuntime);
  }
}

TEST(AtomicDirectory, RefusesReplacesAndCleansUp) {
  const std::string dir = testing::temporary_directory();
  const std::string target = join_path(dir, "model");
  for (const std::string text : {"first", "second"}) {
    AtomicDirectory out(target, text == "second");
    AtomicFile file(join_path(out.path(), "f"));
    file.write(text);
    file.commit();
    out.commit();
    EXPECT_EQ(read_file(join_path(target, "f")), text);
  }
  EXPECT_THROW(AtomicDirectory(target, false), Error);
  { AtomicDirectory abandoned(join_path(dir, "other"), false); }
  EXPECT_FALSE(path_exists(join_path(dir, "other")));
}

TEST(ReadFile, LimitHolds) {
  const std::string path = join_path(testing::temporary_directory(), "big");
  AtomicFile file(path);
  file.write(std::string(1000, 'x'));
  file.commit();
  EXPECT_THROW(read_file(path, 999), Error);
  EXPECT_THROW(read_file(path + ".missing"), Error);
  EXPECT_EQ(MappedFile::open(path)->size(), 1000u);
}

}  // namespace
}  // namespace quamba2
