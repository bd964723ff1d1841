// SPDX-License-Identifier: Apache-2.0
// The server as such: statuses, limits, clients that leave, hostile ones, metrics, and its end.
#include <gtest/gtest.h>

#include <chrono>

#include "test_server.h"

namespace quamba2::server {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

double seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

// An error as clients of the OpenAI API expect it.
void expect_error(const Answer& answer, int status, const std::string& param = {}) {
  EXPECT_EQ(answer.status, status) << answer.body;
  const json body = json::parse(answer.body, nullptr, false);
  ASSERT_TRUE(body.is_object() && body["error"].is_object()) << answer.body;
  const json& error = body["error"];
  EXPECT_TRUE(error["message"].is_string() && error["type"].is_string() && error.contains("code")) << answer.body;
  if (!param.empty()) {
    EXPECT_EQ(error["param"], param) << answer.body;
  }
}

// Ends when the condition holds; fails after half a minute.
template <class Condition>
void wait_until(const Condition& condition) {
  for (int i = 0; i < 3000 && !condition(); ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_TRUE(condition());
}

const char* kEndless = R"({"prompt":"It was","max_tokens":100000,"ignore_eos":true,"stream":true})";

TEST(Server, UsersMistakesAre4xxAndNamed) {
  TestServer server;
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"", ""},
      {"{", ""},
      {"[]", ""},
      {"7", ""},
      {"{}", "prompt"},
      {R"({"prompt":null})", "prompt"},
      {R"({"prompt":7})", "prompt"},
      {R"({"prompt":[]})", "prompt"},
      {R"({"prompt":[[]]})", "prompt"},
      {R"({"prompt":[1,"a"]})", "prompt"},
      {R"({"prompt":[-1]})", "prompt"},
      {R"({"prompt":[1.5]})", "prompt"},
      {R"({"prompt":[99999999999999999999]})", "prompt"},
      {R"({"prompt":[8200]})", ""},
      {R"({"prompt":"a","max_tokens":-1})", "max_tokens"},
      {R"({"prompt":"a","max_tokens":1e300})", "max_tokens"},
      {R"({"prompt":"a","max_tokens":"9"})", "max_tokens"},
      {R"({"prompt":"a","max_tokens":99999999999999999999})", "max_tokens"},
      {R"({"prompt":"a","max_tokens":131072})", "prompt"},
      {R"({"prompt":"a","temperature":-1})", "temperature"},
      {R"({"prompt":"a","temperature":1e999})", ""},
      {R"({"prompt":"a","top_p":0})", "top_p"},
      {R"({"prompt":"a","top_k":-2})", "top_k"},
      {R"({"prompt":"a","n":0})", "n"},
      {R"({"prompt":"a","n":1000000})", "n"},
      {R"({"prompt":"a","best_of":1,"n":2})", "best_of"},
      {R"({"prompt":"a","logprobs":6})", "logprobs"},
      {R"({"prompt":"a","stop":["","b"]})", "stop"},
      {R"({"prompt":"a","stop":[1]})", "stop"},
      {R"({"prompt":"a","logit_bias":{"x":1}})", "logit_bias"},
      {R"({"prompt":"a","logit_bias":{"1":101}})", "logit_bias"},
      {R"({"prompt":"a","suffix":"b"})", "suffix"},
      {R"({"prompt":"a","stream":1})", "stream"},
      {R"({"prompt":"a","stream_options":{"include_usage":true}})", "stream_options"},
      {"{\"prompt\":\"\xff\xfe\"}", ""},
      {R"({"prompt":"\ud800"})", ""},
      {std::string(100000, '['), ""},
      {R"({"prompt":"a","seed":1.5})", "seed"},
      {R"({"prompt":"a","min_tokens":-1})", "min_tokens"}};
  for (const auto& [body, param] : bad) {
    SCOPED_TRACE(body.substr(0, 80));
    expect_error(server.post("/v1/completions", body), 400, param);
  }
  expect_error(server.post("/v1/completions", R"({"prompt":"a","model":"gpt-4"})"), 404, "model");
  expect_error(server.post("/v1/chat/completions", R"({"messages":[]})"), 400);
  expect_error(server.post("/v1/nothing", ""), 404);
  expect_error(ask(server.port(), "GET", "/v1/completions"), 405);
  expect_error(ask(server.port(), "GET", "/v1/models/other"), 404);
  expect_error(server.post("/tokenize", "{}"), 400, "prompt");
  expect_error(server.post("/detokenize", R"({"tokens":["a"]})"), 400, "tokens");
}

TEST(Server, KeysAreAskedForWhereTheyShould) {
  TestServer server({.api_key = "secret"});
  expect_error(ask(server.port(), "GET", "/v1/models"), 401);
  expect_error(ask(server.port(), "GET", "/v1/models", "", {{"Authorization", "Bearer secreT"}}), 401);
  EXPECT_EQ(ask(server.port(), "GET", "/v1/models", "", {{"Authorization", "Bearer secret"}}).status, 200);
  for (const char* path : {"/health", "/ready", "/live", "/metrics", "/version"})
    EXPECT_EQ(ask(server.port(), "GET", path).status, 200) << path;
}

TEST(Server, ThePageIsOneFile) {
  TestServer server({.api_key = "secret"});
  const Answer page = ask(server.port(), "GET", "/");
  EXPECT_EQ(page.status, 200) << "the key is asked for by the page itself";
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_NE(page.headers.at("content-security-policy").find("default-src 'none'"), std::string::npos);
  EXPECT_TRUE(page.body.starts_with("<!doctype html>"));
  for (const char* part : {"--accent:", "async function connect()", "</html>"})
    EXPECT_NE(page.body.find(part), std::string::npos) << part;
  for (const char* placeholder : {"/* page.css */", "/* page.js */", "src=", "@import"})
    EXPECT_EQ(page.body.find(placeholder), std::string::npos) << placeholder;
  expect_error(ask(server.port(), "POST", "/"), 405);
}

TEST(Server, RequestIdsComeBack) {
  TestServer server;
  EXPECT_EQ(ask(server.port(), "GET", "/health", "", {{"X-Request-Id", "abc-1"}}).headers.at("x-request-id"), "abc-1");
  EXPECT_EQ(ask(server.port(), "GET", "/health").headers.at("x-request-id").size(), 32u);
}

TEST(Server, AFullQueueIs429AndUnknownMembersAreAQuestionOfStrictness) {
  TestServer server({.strict = true}, {.slots = 1, .chunk = 32, .max_waiting = 1});
  Client one(server.port()), two(server.port());
  for (Client* c : {&one, &two}) {
    c->send("POST /v1/completions HTTP/1.1\r\nContent-Length: " + std::to_string(std::string(kEndless).size()) +
            "\r\n\r\n" + kEndless);
  }
  wait_until([&] { return server.metric("quamba2:num_requests_waiting") == 1; });
  const Answer full = server.post("/v1/completions", R"({"prompt":"a"})");
  expect_error(full, 429);
  EXPECT_EQ(full.headers.at("retry-after"), "1");
  expect_error(server.post("/v1/completions", R"({"prompt":["a","b","c"]})"), 400);
  expect_error(server.post("/v1/completions", R"({"prompt":"a","colour":1})"), 400, "colour");
  one.close();
  two.close();
  wait_until([&] { return server.metric("quamba2:num_requests_running") == 0; });
}

TEST(Server, ClientsThatLeaveFreeTheirSlots) {
  TestServer server;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 8; ++i) {
      clients.push_back(std::make_unique<Client>(server.port()));
      const std::string body = i % 2 == 0 ? kEndless : R"({"prompt":"It was","max_tokens":100000,"ignore_eos":true})";
      clients.back()->send("POST /v1/completions HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) +
                           "\r\n\r\n" + body);
    }
    wait_until([&] { return server.metric("quamba2:num_requests_running") == 4; });
    clients.clear();
    wait_until([&] { return server.metric("quamba2:num_requests_running") == 0; });
  }
  EXPECT_EQ(server.metric("quamba2:num_requests_waiting"), 0);
}

TEST(Server, LimitsOfSizeAndTime) {
  TestServer server({.max_body = 1000, .header_time = milliseconds(300), .body_time = milliseconds(300)});
  expect_error(server.post("/v1/completions", std::string(1001, 'x')), 413);
  Client wide(server.port());
  wide.send("GET /health HTTP/1.1\r\nX: " + std::string(40000, 'x') + "\r\n\r\n");
  expect_error(wide.answer(), 431);
  Client garbage(server.port());
  garbage.send("\x16\x03\x01 this is no HTTP\r\n\r\n");
  expect_error(garbage.answer(), 400);
  const auto begin = std::chrono::steady_clock::now();
  Client slow(server.port());  // slow loris: a byte now and then
  slow.send("GET /health HTTP/1.1\r\n");
  while (seconds_since(begin) < 20 && slow.send("X")) std::this_thread::sleep_for(milliseconds(50));
  EXPECT_LT(seconds_since(begin), 15);
  Client half(server.port());
  half.send("POST /v1/completions HTTP/1.1\r\nContent-Length: 500\r\n\r\n{");
  expect_error(half.answer(), 408);
  EXPECT_EQ(ask(server.port(), "GET", "/health").status, 200);
}

TEST(Server, DeadlinesEndRequests) {
  TestServer server({.request_time = milliseconds(200)});
  expect_error(server.post("/v1/completions", R"({"prompt":"It was","max_tokens":100000,"ignore_eos":true})"), 503);
  const std::string body = server.post("/v1/completions", kEndless).body;  // a stream ends with the error
  const size_t last = body.rfind("data: ");
  EXPECT_EQ(json::parse(body.substr(last + 6))["error"]["code"], "deadline_exceeded");
}

TEST(Server, DrainsBeforeItEnds) {
  TestServer server;
  Client client(server.port());
  const std::string body = R"({"prompt":"It was","max_tokens":300,"ignore_eos":true,"stream":true})";
  client.send("POST /v1/completions HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  std::string seen = client.read_some();
  Client idle(server.port());
  idle.ask("GET", "/health");
  server.ask_to_stop();
  for (std::string part; !(part = client.read_some()).empty();) seen += part;
  EXPECT_NE(seen.find("data: [DONE]"), std::string::npos);
  server.stop();
  EXPECT_EQ(ask(server.port(), "GET", "/health").status, 0) << "nobody listens any more";
}

TEST(Server, MetricsCount) {
  TestServer server;
  const json body = server.complete({{"prompt", "It was a"}, {"max_tokens", 10}, {"ignore_eos", true}});
  wait_until([&] { return server.metric("quamba2:e2e_request_latency_seconds_count") == 1; });
  EXPECT_EQ(server.metric("quamba2:prompt_tokens_total"), body["usage"]["prompt_tokens"]);
  EXPECT_EQ(server.metric("quamba2:generation_tokens_total"), 9);  // the first comes with the prompt
  EXPECT_EQ(server.metric("quamba2:inter_token_latency_seconds_count"), 9);
  EXPECT_EQ(server.metric("quamba2:time_to_first_token_seconds_count"), 1);
  EXPECT_EQ(server.metric("quamba2:build_info"), 1);
  EXPECT_NE(ask(server.port(), "GET", "/metrics").body.find("\nprocess_resident_memory_bytes "), std::string::npos);
}

}  // namespace
}  // namespace quamba2::server
