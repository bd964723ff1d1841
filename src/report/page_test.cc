// SPDX-License-Identifier: Apache-2.0
#include "report/page.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "report/markup_problems.h"

namespace quamba2::report {
namespace {

Documents read(const std::vector<std::string>& all) {
  Documents out;
  for (size_t i = 0; i < all.size(); ++i) add_document(fmt::format("{}.json", i), all[i], &out);
  return out;
}

std::string page_of(const std::vector<std::string>& all) {
  std::string out = page(read(all), "");
  EXPECT_EQ(markup_problem(out), "");
  return out;
}

size_t count(const std::string& text, const std::string& what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++n;
  return n;
}

bool has(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

// One document of every kind; `name` is every text in them.
std::vector<std::string> one_of_each(const std::string& name) {
  const auto fill = [&](std::string json) {
    for (size_t at = json.find('@'); at != std::string::npos; at = json.find('@', at + name.size()))
      json.replace(at, 1, name);
    return json;
  };
  return {
      fill(
          R"({"kind":"quantization","model":"@","output":"@","recipe":"@","preset":"@","bytes_before":100,"bytes_after":40,
        "passes":[{"part":"layer 0","pass":"@","seconds":1,"detail":"@","outliers":[{"edge":"@","before":9,"after":3}]},
        {"part":"layer 0","pass":"finished","seconds":1,"detail":"@","relative_error":0.02},
        {"part":"@","pass":"round","seconds":2,"detail":""}]})"),
      fill(
          R"({"kind":"comparison","text":"@","window":64,"a":{"model":"@","recipe":"@","weight_bytes":100,"perplexity":30},
        "others":[{"model":"@ b","recipe":"@","weight_bytes":40,"of_bf16":0.4,"perplexity":31,"mean_kl":0.01,
        "ppl_increase_percent":3.3,"same_top_token":0.95}]})"),
      fill(R"([{"model":"@ b","recipe":"@","test":"pp512","machine":"@","ceiling_text":"@","threads":2,"batch":1,
        "tokens_per_second":20,"ceiling":40,"deviation":1},
        {"model":"@ b","test":"tg128","machine":"@ 2","threads":2,"batch":1,"tokens_per_second":7}])"),
      fill(R"({"kind":"search","model":"@","text":"@","choices":["@","b"],"budget":"size","limit":50,"evaluated":9,
        "best":{"name":"@","layers":["@","b"],"mean_kl":0.02,"weight_bytes":45,"decode_tokens_per_second":7},
        "uniform":[{"name":"@","layers":["@","@"],"mean_kl":0.03,"weight_bytes":40}],
        "front":[{"name":"@","layers":["b","b","@"],"mean_kl":0.01,"weight_bytes":60}]})"),
      fill(R"({"kind":"ablation","model":"@","recipe":"@","text":"@","reference_perplexity":30,
        "rows":[{"name":"@","mean_kl":0.01,"perplexity":31,"layer_error":0.02,"seconds":3}]})")};
}

TEST(Page, HasASectionForEveryKind) {
  const std::string html = page_of(one_of_each("name"));
  for (const char* id :
       {"summary", "pareto", "layers", "outliers", "times", "search", "ablation", "speed", "figures"}) {
    EXPECT_EQ(count(html, fmt::format("<section id=\"{}\">", id)), 1u) << id;
    EXPECT_EQ(count(html, fmt::format("<a href=\"#{}\">", id)), 1u) << id;
  }
  // Quality against size, decode and prefill; the search has sizes and one speed.
  EXPECT_EQ(count(html, "aria-label=\"Mean KL divergence against size"), 2u);
  EXPECT_TRUE(has(html, "<title>Quantization report: name</title>"));
  EXPECT_TRUE(has(html, "of the weights, B</text>"));
  EXPECT_TRUE(has(page(read(one_of_each("name")), "A & B"), "<h1>A &amp; B</h1>"));
}

TEST(Page, ASectionIsOnlyWhereDocumentsFeedIt) {
  const std::string html = page_of({one_of_each("name")[4]});
  EXPECT_EQ(count(html, "<section"), 1u);
  EXPECT_TRUE(has(html, "<section id=\"ablation\">"));
}

TEST(Page, HostileNamesStayText) {
  for (const std::string name :
       {"<script>alert(1)</script>", "\\\" onload=\\\"alert(1)", "' x='", "</title></svg></style>", "&lt;&amp;#60;",
        "--><!--", "]]>", "\\u0000\\u202e", "<img src=https://example.org>"}) {
    page_of(one_of_each(name));
  }
  Documents d;
  add_document("\xFF<b>.json", one_of_each("name")[4], &d);
  const std::string html = page(d, "<i>\xC3");
  EXPECT_EQ(markup_problem(html), "");
  EXPECT_TRUE(has(html, "<h1>&lt;i&gt;\xEF\xBF\xBD</h1>"));
}

TEST(Page, MarkupProblemsAreFound) {
  const std::string good = page_of(one_of_each("name"));
  const auto broken = [&](const std::string& what, const std::string& by) {
    std::string html = good;
    html.replace(html.find(what), what.size(), by);
    return markup_problem(html);
  };
  EXPECT_TRUE(has(broken("</h1>", "<script></h1>"), "element <script>"));
  EXPECT_TRUE(has(broken("</h1>", "</h2>"), "closes <h1>"));
  EXPECT_TRUE(has(broken("<h1>", "<h1 onclick=\"x\">"), "attribute onclick"));
  EXPECT_TRUE(has(broken("href=\"#", "href=\"http:"), "out of the page"));
  EXPECT_TRUE(has(broken("d=\"M", "d=\"Mnan "), "a coordinate"));
  EXPECT_TRUE(has(broken("</html>", ""), "not closed: html"));
}

TEST(Page, LoadsNothing) {
  const std::string html = page_of(one_of_each("name"));
  for (const char* what : {"http://", "https://", "src=", "url(", "@import", "<script", "<link", "javascript:"}) {
    EXPECT_FALSE(has(html, what)) << what;
  }
  EXPECT_TRUE(has(html, "default-src 'none'"));
}

TEST(Page, SameDocumentsSameBytes) { EXPECT_EQ(page_of(one_of_each("name")), page_of(one_of_each("name"))); }

TEST(Page, EmptyLists) {
  const std::string html = page_of({R"({"kind":"quantization","model":"m"})",
                                    R"({"kind":"comparison","a":{"model":"m"}})", R"({"kind":"bench","rows":[]})",
                                    R"({"kind":"search","budget":"size","best":{}})", R"({"kind":"ablation"})"});
  EXPECT_TRUE(has(html, "<td class=\"w\">m</td>"));
  EXPECT_FALSE(has(html, "id=\"pareto\""));
  EXPECT_TRUE(has(page_of({R"({"kind":"ablation"})"}), "hold no figures"));
}

TEST(Page, OneModelWithNoDivergence) {
  const std::string html = page_of({R"({"kind":"comparison","a":{"model":"m","weight_bytes":100},
    "others":[{"model":"m-copy","weight_bytes":100,"mean_kl":0}]})"});
  EXPECT_TRUE(has(html, ">copy</text>"));
  EXPECT_TRUE(has(html, ">0</text>"));
  EXPECT_TRUE(has(html, "axis broken"));
}

TEST(Page, EqualValuesOnBothAxes) {
  std::string json = R"({"kind":"comparison","a":{"model":"m"},"others":[)";
  for (int i = 0; i < 9; ++i)
    json += fmt::format(R"({}{{"model":"m-{}","weight_bytes":50,"mean_kl":0.01}})", i ? "," : "", i);
  const std::string html = page_of({json + "]}"});
  EXPECT_EQ(count(html, "class=\"fill rim "), 9u);
}

TEST(Page, ThousandLayers) {
  std::string json = R"({"kind":"quantization","model":"m","output":"m-w4a8","passes":[)";
  std::string layers;
  for (int i = 0; i < 1000; ++i) {
    json += fmt::format(
        R"({}{{"part":"layer {}","pass":"hadamard","seconds":1,"outliers":[{{"edge":"in","before":{},"after":3}}]}},
      {{"part":"layer {}","pass":"finished","seconds":0.1,"relative_error":{}}})",
        i ? "," : "", i, 5 + i, i, 0.01 + i * 1e-5);
    layers += fmt::format("{}\"{}\"", i ? "," : "", i < 600 ? "w4a8" : "w8a8");
  }
  const std::string html =
      page_of({json + "]}", R"({"kind":"search","budget":"size","best":{"mean_kl":0.1,"weight_bytes":9,"layers":[)" +
                                layers + "]}}"});
  EXPECT_TRUE(has(html, "layer 999: 2.00 %"));
  EXPECT_TRUE(has(html, "in, layer 999, hadamard\n1,004 → 3.00"));
  EXPECT_TRUE(has(html, "w4a8 × 600, w8a8 × 400"));
  EXPECT_TRUE(has(html, "layers 600 to 999: w8a8"));
  EXPECT_EQ(count(html, "class=\"piece s0\""),
            2u);  // a piece of the strip for a run of layers, and the time of hadamard
  EXPECT_LT(html.size(), 3000000u);
}

// A made-up document must not stall the program: searching all names for each name took hours here.
TEST(Page, TenThousandOfEverything) {
  std::string others, layers, passes;
  for (int i = 0; i < 10000; ++i) {
    const char* comma = i ? "," : "";
    others +=
        fmt::format(R"({}{{"model":"m-{}","mean_kl":{},"weight_bytes":{}}})", comma, i, 1e-3 * (i % 97 + 1), i + 1);
    layers += fmt::format("{}\"c{}\"", comma, i);
    passes += fmt::format(
        R"({}{{"part":"layer 0","pass":"p{}","seconds":1,"outliers":[{{"edge":"e","before":2,"after":1}}]}})", comma,
        i);
  }
  const std::string html = page_of({R"({"kind":"comparison","a":{"model":"m"},"others":[)" + others + "]}",
                                    R"({"kind":"search","budget":"size","best":{"layers":[)" + layers + "]}}",
                                    R"({"kind":"quantization","model":"m","passes":[)" + passes + "]}"});
  EXPECT_EQ(count(html, "class=\"fill rim "), 10000u);
  EXPECT_TRUE(has(html, "layer 9999: c9999"));
}

TEST(Page, MorePassesThanColours) {
  std::string json = R"({"kind":"quantization","model":"m","passes":[)";
  for (int i = 0; i < 12; ++i)
    json += fmt::format(R"({}{{"part":"layer 0","pass":"p{}","seconds":{}}})", i ? "," : "", i, i + 1);
  const std::string html = page_of({json + "]}"});
  EXPECT_TRUE(has(html, "quicker passes"));
  EXPECT_TRUE(has(html, "p11: 12.0 s, 15.38 %"));
  EXPECT_EQ(count(html, "class=\"piece s7\""), 5u);
}

}  // namespace
}  // namespace quamba2::report
