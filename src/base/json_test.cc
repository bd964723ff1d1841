// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <gtest/gtest.h>

#include <limits>

#include <cmath>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

TEST(Json, ReadsPythonsBareInfinityOutsideStringsOnly) {
  const Json v =
      Json::parse(R"({"limit": [0.0, Infinity], "low": -Infinity, "text": "Infinity \" NaN", "n": NaN})", "test");
  EXPECT_TRUE(std::isinf(v.find("limit")->as_array("t")[1].as_double("t")));
  EXPECT_LT(v.get("low", 0.0), 0);
  EXPECT_EQ(v.get("text", ""), "Infinity \" NaN");
  EXPECT_TRUE(std::isnan(v.get("n", 0.0)));
}

TEST(Json, WritesWhatItReads) {
  const std::string text = R"({"b":[1,2.5,true,null,"x\"y"],"a":{"inf":Infinity,"neg":-Infinity}})";
  EXPECT_EQ(Json::parse(text, "test").dump(-1), text);
}

TEST(Json, RefusesDeepNestingDuplicateKeysAndRubbish) {
  EXPECT_THROW(Json::parse(std::string(1000, '['), "test"), Error);
  EXPECT_THROW(Json::parse(R"({"a":1,"a":2})", "test", true), Error);
  EXPECT_THROW(Json::parse("{\"a\":", "test"), Error);
  EXPECT_THROW(Json::parse("", "test"), Error);
  EXPECT_THROW(Json::parse("{\"a\": \"Infinity", "test"), Error);
}

TEST(Json, WrongKindNamesTheKey) {
  const Json v = Json::parse(R"({"n_layer": "twelve"})", "config.json");
  try {
    v.get("n_layer", 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("n_layer"), std::string::npos);
  }
}

TEST(Json, WholeDoublesCountAsIntegers) { EXPECT_EQ(Json::parse("[3.0]", "t").as_array("t")[0].as_int("t"), 3); }

TEST(Json, FiniteNumbersOrNull) {
  EXPECT_EQ(Json::finite(0.5).dump(-1), "0.5");
  EXPECT_TRUE(Json::finite(std::numeric_limits<double>::infinity()).is_null());
  EXPECT_TRUE(Json::finite(std::numeric_limits<double>::quiet_NaN()).is_null());
}

}  // namespace
}  // namespace quamba2
