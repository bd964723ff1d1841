// SPDX-License-Identifier: Apache-2.0
#include "report/text.h"

#include <gtest/gtest.h>

namespace quamba2::report {
namespace {

TEST(Text, EscapesWhatHtmlReads) {
  EXPECT_EQ(escape("<script>alert(\"a\" & 'b')</script>"),
            "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;");
  EXPECT_EQ(escape("é 漢 🙂\n\t"), "é 漢 🙂\n\t");
}

TEST(Text, ReplacesWhatIsNoUtf8) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(escape("a\x80z"), "a" + bad + "z");
  EXPECT_EQ(escape("\xC0\xAF"), bad + bad);                      // overlong
  EXPECT_EQ(escape("\xED\xA0\x80"), bad + bad + bad);            // a surrogate
  EXPECT_EQ(escape("\xF4\x90\x80\x80"), bad + bad + bad + bad);  // above U+10FFFF
  EXPECT_EQ(escape("\xE6\xBC"), bad + bad);                      // cut off
  EXPECT_EQ(escape("\xE6<"), bad + "&lt;");                      // nothing hides behind a lead byte
  EXPECT_EQ(escape(std::string_view("a\0\x1B\x7F", 4)), "a" + bad + bad + bad);
}

TEST(Text, ShortensInTheMiddle) {
  EXPECT_EQ(shortened("mamba2", 6), "mamba2");
  EXPECT_EQ(shortened("mamba2-130m-w4a16", 9), "mamb…4a16");
  EXPECT_EQ(shortened("漢字漢字漢字", 3), "漢…字");
  EXPECT_EQ(shortened("abc", 1), "…");
}

TEST(Text, Numbers) {
  EXPECT_EQ(number(0), "0");
  EXPECT_EQ(number(0.00794), "0.00794");
  EXPECT_EQ(number(12.345), "12.3");
  EXPECT_EQ(number(1234567.8), "1,234,568");
  EXPECT_EQ(number(-1234.5), "-1,234");  // to even, as printf does
  EXPECT_EQ(number(2.5e-7), "2.5e-7");
  EXPECT_EQ(number(1e20), "1e20");
  EXPECT_EQ(number(kUnknown), "–");
  EXPECT_EQ(fixed(1234.5, 2), "1,234.50");
  EXPECT_EQ(fixed(kUnknown, 2), "–");
  EXPECT_EQ(plus_minus(109.67, 0.5, 2), "109.67 ± 0.50");
  EXPECT_EQ(plus_minus(109.67, kUnknown, 2), "109.67");
}

TEST(Text, Units) {
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(42.6e6), "42.6 MB");
  EXPECT_EQ(bytes_text(5.4e9), "5.40 GB");
  EXPECT_EQ(seconds_text(0.354), "0.354 s");
  EXPECT_EQ(seconds_text(12.34), "12.3 s");
  EXPECT_EQ(seconds_text(59.96), "1:00");
  EXPECT_EQ(seconds_text(3765), "1:02:45");
  EXPECT_EQ(change_text(0.906), "+0.91 %");
  EXPECT_EQ(change_text(-0.3), "−0.30 %");
  EXPECT_EQ(percent_text(0.9731), "97.31 %");
  EXPECT_EQ(bytes_text(kUnknown) + seconds_text(kUnknown) + change_text(kUnknown) + percent_text(kUnknown), "––––");
}

}  // namespace
}  // namespace quamba2::report
