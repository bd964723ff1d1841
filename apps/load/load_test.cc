// SPDX-License-Identifier: Apache-2.0
// What a load is made of, and what its times mean; no server.
#include <cmath>
#include <nlohmann/json.hpp>

#include "endpoint.h"
#include "event_reader.h"
#include "load_report.h"
#include "quamba2/error.h"
#include "workload.h"

namespace quamba2::load {
namespace {

TEST(Endpoint, TakesAddressesAndRefusesOthers) {
  const Endpoint plain = parse_endpoint("http://127.0.0.1:8000/v1/", "--url");
  EXPECT_EQ(plain.host + " " + plain.port + " " + plain.path, "127.0.0.1 8000 ");
  const Endpoint v6 = parse_endpoint("http://[::1]:81/proxy/v1", "--url");
  EXPECT_EQ(v6.host + " " + v6.port + " " + v6.path, "::1 81 /proxy");
  EXPECT_EQ(parse_endpoint("http://[::1]", "--url").port, "80");
  for (const char* bad : {"", "127.0.0.1:8000", "https://a", "http://", "http://:80", "http://a:", "http://a:70000",
                          "http://a:8b", "http://a b:80", "http://a:80/\r\nX: y"})
    EXPECT_THROW(parse_endpoint(bad, "--url"), Error) << bad;
}

TEST(EventReader, CountsWhateverTheCuts) {
  const std::string stream =
      "data: {\"choices\":[{\"text\":\"a \\\"usage\\\": {\"}],\"usage\":null}\n\n: a comment\n\n"
      "data: {\"choices\": [{\"text\":\"b\"}]}\r\n\r\n"
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
  for (const size_t cut : {size_t{1}, size_t{7}, stream.size()}) {
    EventReader reader;
    int texts = 0;
    int64_t prompt = -1, output = -1;
    bool done = false;
    for (size_t at = 0; at < stream.size(); at += cut) {
      const EventNews news = reader.push(std::string_view(stream).substr(at, cut));
      texts += news.texts;
      done |= news.done;
      EXPECT_EQ(news.error, "");
      if (news.output_tokens >= 0) prompt = news.prompt_tokens, output = news.output_tokens;
    }
    EXPECT_EQ(texts, 2) << cut;
    EXPECT_EQ(prompt, 5) << cut;
    EXPECT_EQ(output, 2) << cut;
    EXPECT_TRUE(done) << cut;
  }
}

TEST(EventReader, FindsErrors) {
  EXPECT_EQ(EventReader().push("data: {\"error\":{\"message\":\"full\"}}\n\n").error, "full");
  EXPECT_NE(EventReader().push("data: {\"error\":7}\n").error, "");
  EXPECT_NE(EventReader().push("data: nonsense\n").error, "");
  EXPECT_EQ(EventReader().push("data: {\"usage\":{\"completion_tokens\":-7}}\n").output_tokens, -1);
  EXPECT_EQ(EventReader().push("data: {\"usage\":{\"completion_tokens\":18446744073709551615}}\n").output_tokens, -1);
  EventReader endless;
  std::string error;
  for (int i = 0; i < 20 && error.empty(); ++i) error = endless.push(std::string(100'000, 'x')).error;
  EXPECT_NE(error, "");
}

TEST(Workload, IsDrawnFromItsSeed) {
  const WorkloadOptions o{.requests = 400, .input = {3, 9}, .output = {1, 4}, .vocab_size = 50, .rate = 20, .seed = 3};
  const auto requests = make_workload(o), again = make_workload(o);
  size_t shortest = 100, longest = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(requests[i].body, again[i].body);
    const auto body = nlohmann::json::parse(requests[i].body);
    shortest = std::min(shortest, body["prompt"].size());
    longest = std::max(longest, body["prompt"].size());
    for (const auto& id : body["prompt"]) EXPECT_TRUE(id >= 0 && id < 50) << id;
    EXPECT_EQ(body["max_tokens"], requests[i].output);
    EXPECT_TRUE(body["stream"]);
    EXPECT_GT(requests[i].at, i > 0 ? requests[i - 1].at : 0);
  }
  EXPECT_EQ(shortest, 3u);
  EXPECT_EQ(longest, 9u);
  EXPECT_NEAR(requests.back().at, 400 / 20.0, 4 * std::sqrt(400.0) / 20);  // four standard deviations
  const auto lines = prompts_of_lines("one\n\n two\r\n", "--prompts");
  EXPECT_EQ(lines.size(), 2u);
  const auto texts = make_workload({.requests = 3, .prompts = lines});
  EXPECT_EQ(nlohmann::json::parse(texts[2].body)["prompt"], "one");
  EXPECT_THROW(prompts_of_lines(" \n", "--prompts"), Error);
}

TEST(Workload, RangesOfLengths) {
  EXPECT_EQ(parse_length_range("7", "--input-len").most, 7);
  EXPECT_EQ(parse_length_range("2-5", "--input-len").least, 2);
  for (const char* bad : {"", "0", "-1", "5-2", "a", "1-", "12345678", "1-2-3"})
    EXPECT_THROW(parse_length_range(bad, "--input-len"), Error) << bad;
}

// Two streams that grow from 1 s and 2 s on, one that failed, one that never went out.
TEST(Report, FiguresOfKnownTimes) {
  LoadResult result;
  result.requests.resize(4);
  result.requests[0] = {0, 4, {1, 2, 3, 4}, 10, 4};
  result.requests[1] = {0, 5, {2, 4, 5}, 20, 6};  // two tokens an event
  result.requests[2] = {0, 1, {}, 0, 0, "status 429"};
  result.seconds = 5;
  result.health = {0.001, 0.003};
  const LoadReport r = summarize(result, 2);
  EXPECT_EQ(r.good, 2u);
  EXPECT_EQ(r.failed, 1u);
  EXPECT_EQ(r.unfinished, 1u);
  EXPECT_EQ(r.failures.at("status 429"), 1u);
  EXPECT_EQ(r.input_tokens, 30);
  EXPECT_EQ(r.output_tokens, 10);
  EXPECT_DOUBLE_EQ(r.output_rate(), 2);
  EXPECT_DOUBLE_EQ(r.first_token.mean, 1.5);
  EXPECT_DOUBLE_EQ(r.between.max, 2);
  EXPECT_DOUBLE_EQ(r.between.median, 1);
  EXPECT_DOUBLE_EQ(r.per_token.mean, (1.0 + 3.0 / 5) / 2);
  EXPECT_DOUBLE_EQ(r.window.seconds, 2);  // from 2 s to 4 s
  EXPECT_DOUBLE_EQ(r.window.most, 2);     // 3 and 4; one event of two tokens at 4
  EXPECT_DOUBLE_EQ(r.window.least, 2);
  EXPECT_DOUBLE_EQ(r.health.max, 0.003);
  const std::string text = report_text(r, 2, 0);
  EXPECT_NE(text.find("Successful requests:                     2 "), std::string::npos) << text;
  EXPECT_NE(text.find("Mean TTFT (ms):                          1500.00 "), std::string::npos) << text;
  EXPECT_NE(text.find("1 failed: status 429"), std::string::npos) << text;
  EXPECT_EQ(summarize(result, 3).window.seconds, 0) << "a stream of the round failed";
}

}  // namespace
}  // namespace quamba2::load
