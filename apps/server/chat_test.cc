// SPDX-License-Identifier: Apache-2.0
// Chat over HTTP: the template's text is what the model continues.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "quamba2/quamba2.h"
#include "test_server.h"

namespace quamba2::server {
namespace {

using nlohmann::json;

const json kMessages = {{{"role", "system"}, {"content", "Be brief."}},
                        {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "It was a dark"}}}}}};
const char* kText =
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nIt was a dark<|im_end|>\n<|im_start|>assistant\n";

TEST(Chat, ContinuesTheTemplatesText) {
  TestServer server({.chat_template = "chatml"});
  Engine engine = Engine::load(demo_model(), {.max_tokens = 32});
  const Completion expected = engine.generate({kText}, {.max_tokens = 12})[0];
  json request = {{"messages", kMessages},
                  {"max_completion_tokens", 12},
                  {"temperature", 0},
                  {"logprobs", true},
                  {"top_logprobs", 2}};
  const json body = json::parse(server.post("/v1/chat/completions", request.dump()).body);
  ASSERT_TRUE(body.contains("choices")) << body.dump();
  EXPECT_EQ(body["object"], "chat.completion");
  const json& choice = body["choices"][0];
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_EQ(choice["message"]["content"], expected.text);
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(body["usage"]["prompt_tokens"], expected.prompt_ids.size());
  ASSERT_EQ(choice["logprobs"]["content"].size(), 12u);
  const json& first = choice["logprobs"]["content"][0];
  EXPECT_EQ(first["top_logprobs"].size(), 2u);
  EXPECT_EQ(first["top_logprobs"][0]["logprob"], first["logprob"]) << "greedy takes the likeliest";
  const json tokens = json::parse(server.post("/tokenize", json{{"messages", kMessages}}.dump()).body)["tokens"];
  EXPECT_EQ(tokens.get<std::vector<int32_t>>(), expected.prompt_ids);

  request["stream"] = true;
  const std::string stream = server.post("/v1/chat/completions", request.dump()).body;
  std::string text, role;
  for (size_t at = 0; stream.compare(at, 12, "data: [DONE]") != 0;) {
    const size_t end = stream.find("\n\n", at);
    ASSERT_NE(end, std::string::npos);
    const json chunk = json::parse(stream.substr(at + 6, end - at - 6));
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    const json& delta = chunk["choices"][0]["delta"];
    EXPECT_EQ(delta.contains("role"), at == 0) << "the first delta names the role";
    text += delta["content"];
    at = end + 2;
  }
  EXPECT_EQ(text, expected.text);
}

// As instruct models are published: the template lies in the directory, in tokenizer_config.json. Two turns; the second reads what is
// new in it, and each continues what the template makes of the messages.
TEST(Chat, AnInstructModelBringsItsTemplate) {
  std::string folder = (std::filesystem::temp_directory_path() / "quamba2-chat-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::filesystem::copy(demo_model(), folder, std::filesystem::copy_options::recursive);
  const json config = {{"eos_token", "<|endoftext|>"},
                       {"chat_template",
                        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
                        "'<|im_end|>' + '\n'}}"
                        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"}};
  std::ofstream(folder + "/tokenizer_config.json") << config;
  {
    const TestServer server({}, {.slots = 4, .chunk = 32}, folder);
    Engine engine = Engine::load(folder, {.max_tokens = 32});
    const ChatTemplate chat = engine.chat_template().value();
    json messages = {{{"role", "user"}, {"content", "Tell me of the whale, and of the ship that went after it."}}};
    int64_t known = 0;
    for (int turn = 0; turn < 2; ++turn) {
      const std::string text = chat.render_json(messages.dump());
      const Completion expected = engine.generate({text}, {.max_tokens = 10})[0];
      const json request = {{"messages", messages}, {"max_tokens", 10}, {"temperature", 0}};
      const json body = json::parse(server.post("/v1/chat/completions", request.dump()).body);
      ASSERT_TRUE(body.contains("choices")) << body.dump();
      const json& answer = body["choices"][0]["message"];
      EXPECT_EQ(answer["content"], expected.text) << turn;
      EXPECT_EQ(body["usage"]["prompt_tokens"], expected.prompt_ids.size()) << turn;
      EXPECT_GE(body["usage"]["prompt_tokens_details"]["cached_tokens"].get<int64_t>(), known) << turn;
      known = static_cast<int64_t>(expected.prompt_ids.size());
      messages.push_back(answer);
      messages.push_back({{"role", "user"}, {"content", "Go on."}});
    }
    EXPECT_GT(known, 32);
  }
  std::filesystem::remove_all(folder);
}

TEST(Chat, MistakesAreNamed) {
  const TestServer without;
  EXPECT_EQ(without.post("/v1/chat/completions", json{{"messages", kMessages}}.dump()).status, 400);
  const TestServer server({.chat_template = "chatml"});
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"{}", "messages"},
      {R"({"messages":[]})", "messages"},
      {R"({"messages":["a"]})", "messages"},
      {R"({"messages":[{"content":"a"}]})", "messages"},
      {R"({"messages":[{"role":"user","content":7}]})", "messages"},
      {R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})", "messages"},
      {R"({"messages":[{"role":"user","content":"a"}],"top_logprobs":3})", "top_logprobs"},
      {R"({"messages":[{"role":"user","content":"a"}],"logprobs":true,"top_logprobs":21})", "top_logprobs"},
      {R"({"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"}})", "response_format"},
      {R"({"messages":[{"role":"user","content":"a"}],"tool_choice":"required"})", "tool_choice"},
      {R"({"messages":[{"role":"user","content":"a"}],"max_tokens":200000})", "max_tokens"}};
  for (const auto& [body, param] : bad) {
    const Answer answer = server.post("/v1/chat/completions", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(json::parse(answer.body)["error"]["param"], param) << body;
  }
}

}  // namespace
}  // namespace quamba2::server
