// SPDX-License-Identifier: Apache-2.0
// Completions over HTTP: equal to the engine's, in every form of the answer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "quamba2/quamba2.h"
#include "test_server.h"

namespace quamba2::server {
namespace {

using nlohmann::json;

const std::vector<std::string> kPrompts = {"It was a dark and", "The captain", "In the year 1850 the town of"};

// The events of a stream; the last one must be [DONE].
std::vector<json> events(const std::string& body) {
  std::vector<json> out;
  for (size_t at = 0; at < body.size();) {
    const size_t end = body.find("\n\n", at);
    const std::string line = body.substr(at, end - at);
    EXPECT_EQ(line.rfind("data: ", 0), 0u) << line;
    if (line == "data: [DONE]") {
      EXPECT_EQ(end + 2, body.size());
      return out;
    }
    out.push_back(json::parse(line.substr(6)));
    at = end + 2;
  }
  ADD_FAILURE() << "no [DONE]";
  return out;
}

TEST(Completions, AreWhatTheEngineGives) {
  TestServer server;
  Engine engine = Engine::load(demo_model(), {.max_tokens = 32});
  const auto expected = engine.generate(kPrompts, {.max_tokens = 24});
  const json body = server.complete({{"prompt", kPrompts}, {"max_tokens", 24}, {"temperature", 0}});
  ASSERT_EQ(body["choices"].size(), kPrompts.size());
  EXPECT_EQ(body["object"], "text_completion");
  EXPECT_EQ(body["model"], "demo");
  int64_t prompt = 0;
  for (size_t i = 0; i < kPrompts.size(); ++i) {
    EXPECT_EQ(body["choices"][i]["text"], expected[i].text);
    EXPECT_EQ(body["choices"][i]["index"], i);
    EXPECT_EQ(body["choices"][i]["finish_reason"], "length");
    prompt += static_cast<int64_t>(expected[i].prompt_ids.size());
  }
  EXPECT_EQ(body["usage"]["prompt_tokens"], prompt);
  EXPECT_EQ(body["usage"]["completion_tokens"], 72);
  const json by_ids = server.complete({{"prompt", expected[0].prompt_ids}, {"max_tokens", 24}, {"temperature", 0}});
  EXPECT_EQ(by_ids["choices"][0]["text"], expected[0].text);
}

TEST(Completions, AStreamIsTheSameText) {
  TestServer server;
  json request = {{"prompt", kPrompts}, {"max_tokens", 30}, {"temperature", 0.8},
                  {"seed", 5},          {"n", 2},           {"logprobs", 0}};
  const json whole = server.complete(request);
  request["stream"] = true;
  request["stream_options"] = {{"include_usage", true}};
  const Answer answer = server.post("/v1/completions", request.dump());
  EXPECT_EQ(answer.headers.at("content-type"), "text/event-stream");
  const std::vector<json> all = events(answer.body);
  std::vector<std::string> text(6), reason(6);
  std::vector<json> tokens(6, json::array());
  for (size_t i = 0; i + 1 < all.size(); ++i) {
    EXPECT_TRUE(all[i]["usage"].is_null());
    const json& choice = all[i]["choices"][0];
    const auto index = choice["index"].get<size_t>();
    EXPECT_TRUE(reason[index].empty()) << "nothing follows the end";
    text[index] += choice["text"];
    for (const json& t : choice["logprobs"]["tokens"]) tokens[index].push_back(t);
    if (!choice["finish_reason"].is_null()) reason[index] = choice["finish_reason"];
  }
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(text[i], whole["choices"][i]["text"]);
    EXPECT_EQ(reason[i], whole["choices"][i]["finish_reason"]);
    EXPECT_EQ(tokens[i], whole["choices"][i]["logprobs"]["tokens"]);
  }
  EXPECT_NE(text[0], text[1]) << "each of n has a seed of its own";
  EXPECT_EQ(all.back()["usage"], whole["usage"]);
}

// What lm-evaluation-harness asks, and how it reads the answer.
TEST(Completions, LoglikelihoodsAsTheHarnessReadsThem) {
  TestServer server;
  Engine engine = Engine::load(demo_model(), {.max_tokens = 64});
  json prompts = json::array();
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& p : kPrompts) {
    ids.push_back(engine.tokenizer().encode(p));
    prompts.push_back(ids.back());
  }
  json request = {{"prompt", prompts}, {"temperature", 0}, {"max_tokens", 1},
                  {"logprobs", 1},     {"echo", true},     {"seed", 1234}};
  for (const bool ends : {false, true}) {  // also where the generated token ends the text
    if (ends) request["logit_bias"] = {{std::to_string(engine.end_ids().at(0)), 100}};
    const json body = server.complete(request);
    for (size_t p = 0; p < ids.size(); ++p) {
      const json& l = body["choices"][p]["logprobs"];
      for (const char* name : {"tokens", "token_logprobs", "top_logprobs", "text_offset"})
        ASSERT_EQ(l[name].size(), ids[p].size() + 1) << name;
      EXPECT_TRUE(l["token_logprobs"][0].is_null());
      EXPECT_TRUE(l["top_logprobs"][0].is_null());
      engine.reset(0);
      for (size_t i = 0; i + 1 < ids[p].size(); ++i) {
        engine.feed(0, std::span(ids[p]).subspan(i, 1));
        const std::vector<float> logits = engine.logits(0);
        double sum = 0;
        for (const float x : logits) sum += std::exp(static_cast<double>(x));
        const auto target = static_cast<size_t>(ids[p][i + 1]);
        const double value = l["token_logprobs"][i + 1];
        EXPECT_NEAR(value, logits[target] - std::log(sum), 1e-3);
        const auto top = std::max_element(logits.begin(), logits.end()) - logits.begin();
        const std::string token = l["tokens"][i + 1];
        double largest = -1e9;
        std::string likeliest;
        for (const auto& [name, v] : l["top_logprobs"][i + 1].items()) {
          if (v.get<double>() > largest) largest = v.get<double>(), likeliest = name;
        }
        EXPECT_EQ(likeliest == token, top == static_cast<int64_t>(target));
        EXPECT_EQ(l["top_logprobs"][i + 1][token], value) << "the actual token is there, with the same number";
      }
    }
    EXPECT_EQ(body["choices"][0]["finish_reason"], ends ? "stop" : "length");
  }
}

TEST(Completions, OptionsDoWhatTheySay) {
  TestServer server;
  const auto choice = [&](json request) {
    if (!request.contains("prompt")) request["prompt"] = kPrompts[0];
    if (!request.contains("temperature")) request["temperature"] = 0;
    const json body = server.complete(request);
    EXPECT_TRUE(body.contains("choices")) << body.dump();
    return body["choices"][0];
  };
  const std::string plain = choice({{"max_tokens", 20}})["text"];
  EXPECT_EQ(choice({{"max_tokens", 20}, {"echo", true}})["text"], kPrompts[0] + plain);
  EXPECT_EQ(choice({{"max_tokens", 0}, {"echo", true}})["text"], kPrompts[0]);
  const json stopped = choice({{"max_tokens", 20}, {"stop", plain.substr(5, 4)}});
  EXPECT_EQ(stopped["text"], plain.substr(0, plain.find(plain.substr(5, 4))));
  EXPECT_EQ(stopped["finish_reason"], "stop");
  const json ids = choice({{"max_tokens", 20}, {"return_token_ids", true}})["token_ids"];
  ASSERT_EQ(ids.size(), 20u);
  const json at_id = choice({{"max_tokens", 20}, {"stop_token_ids", {ids[4]}}, {"return_token_ids", true}});
  EXPECT_EQ(at_id["finish_reason"], "stop");
  EXPECT_LE(at_id["token_ids"].size(), 5u);
  const json late =
      choice({{"max_tokens", 20}, {"stop_token_ids", {ids[0]}}, {"min_tokens", 3}, {"return_token_ids", true}});
  EXPECT_GE(late["token_ids"].size(), 4u);
  const json other = choice({{"max_tokens", 1}, {"logit_bias", {{ids[0].dump(), -100}}}, {"return_token_ids", true}});
  EXPECT_NE(other["token_ids"][0], ids[0]);
  EXPECT_EQ(choice({{"max_tokens", 8}, {"temperature", 1}, {"seed", 3}})["text"],
            choice({{"max_tokens", 8}, {"temperature", 1}, {"seed", 3}})["text"]);
  const json best = server.complete({{"prompt", "The"}, {"best_of", 4}, {"n", 2}, {"max_tokens", 4}});
  EXPECT_EQ(best["choices"].size(), 2u);
  EXPECT_EQ(best["usage"]["completion_tokens"], 16);
}

TEST(Completions, PromptsThatBeginAlikeAreReadOnce) {
  TestServer server;
  std::string text;
  for (int i = 0; i < 12; ++i) text += "It was a dark night and the wind blew over the hills. ";
  const auto ask_for = [&](const std::string& end) {
    return server.complete({{"prompt", text + end}, {"max_tokens", 8}, {"temperature", 0}});
  };
  const json first = ask_for("He"), again = ask_for("He"), other = ask_for("She");
  EXPECT_EQ(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  const int64_t cached = other["usage"]["prompt_tokens_details"]["cached_tokens"];
  EXPECT_GT(cached, 64);
  EXPECT_EQ(cached % 32, 0);
  EXPECT_EQ(again["choices"][0]["text"], first["choices"][0]["text"]);
  EXPECT_GE(server.metric("quamba2:prefix_cache_hits_total"), static_cast<double>(cached));
  EXPECT_GT(server.metric("quamba2:state_cache_bytes"), 0);
}

TEST(Completions, TextNeverEndsInsideACharacter) {
  TestServer server;
  const json body = server.complete(
      {{"prompt", "\xE6\xBC\xA2\xE5\xAD\x97"}, {"max_tokens", 40}, {"temperature", 2}, {"seed", 1}, {"logprobs", 5}});
  for (const json& name : body["choices"][0]["logprobs"]["tokens"]) EXPECT_TRUE(name.is_string());
  EXPECT_EQ(body["choices"][0]["logprobs"]["tokens"].size(), body["usage"]["completion_tokens"]);
}

TEST(TokenizerRoutes, ThereAndBack) {
  TestServer server;
  const std::string text = "The old house, \xE6\xBC\xA2 \xF0\x9F\x91\xA8";
  const json tokens =
      json::parse(server.post("/tokenize", json{{"prompt", text}, {"add_special_tokens", false}}.dump()).body);
  EXPECT_EQ(tokens["tokens"].get<std::vector<int32_t>>(), server.engine().tokenizer().encode(text));
  EXPECT_EQ(tokens["count"], tokens["tokens"].size());
  const json back = json::parse(server.post("/detokenize", json{{"tokens", tokens["tokens"]}}.dump()).body);
  EXPECT_EQ(back["prompt"], text);
  const json info = json::parse(ask(server.port(), "GET", "/tokenizer_info").body);
  EXPECT_EQ(info["eos_token"], "<|endoftext|>");
  EXPECT_TRUE(info.contains("bos_token") && info.contains("pad_token") && info.contains("chat_template"));
}

}  // namespace
}  // namespace quamba2::server
