// SPDX-License-Identifier: Apache-2.0
// States in files, and what is said while the model loads.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "test_server.h"

namespace quamba2::server {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// A fresh directory that goes with it.
struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "quamba2-states-XXXXXX").string();
    if (mkdtemp(pattern.data())) path = pattern;
  }
  ~Folder() { fs::remove_all(path); }
  std::string path;
};

std::string long_text() {
  std::string text;
  for (int i = 0; i < 12; ++i) text += "The captain said that the ship was lost. ";
  return text;
}

json completion_of(const std::string& prompt) {
  return {{"prompt", prompt}, {"max_tokens", 12}, {"temperature", 0.8}, {"seed", 3}};
}

int64_t cached(const json& answer) { return answer["usage"]["prompt_tokens_details"]["cached_tokens"].get<int64_t>(); }

TEST(States, APromptGoesOnInAnotherServerWithTheSameBits) {
  const Folder folder;
  const std::string prompt = long_text();
  json expected;
  {
    const TestServer server({.state_dir = folder.path});
    const Answer saved = server.post("/states/captain/save", json{{"prompt", prompt}}.dump());
    ASSERT_EQ(saved.status, 200) << saved.body;
    const json state = json::parse(saved.body);
    EXPECT_EQ(state["id"], "captain");
    EXPECT_GT(state["tokens"].get<int64_t>(), 64);
    EXPECT_EQ(state["tokens"].get<int64_t>() % 32, 0) << "where prompts are cut";
    const TestServer fresh;
    expected = fresh.complete(completion_of(prompt));
    EXPECT_EQ(cached(expected), 0);
  }
  const TestServer server({.state_dir = folder.path});
  const Answer loaded = server.post("/states/captain/load", "");
  ASSERT_EQ(loaded.status, 200) << loaded.body;
  const json answer = server.complete(completion_of(prompt));
  EXPECT_EQ(cached(answer), json::parse(loaded.body)["tokens"].get<int64_t>());
  EXPECT_EQ(answer["choices"], expected["choices"]);
  EXPECT_EQ(answer["system_fingerprint"], expected["system_fingerprint"]);
}

TEST(States, AConversationGoesOnFromItsEnd) {
  const Folder folder;
  json talk = json::array({{{"role", "user"}, {"content", long_text()}}});
  const auto ask = [&](const TestServer& server) {
    const json request = {{"messages", talk}, {"max_tokens", 8}, {"temperature", 0}};
    return json::parse(server.post("/v1/chat/completions", request.dump()).body);
  };
  int64_t tokens = 0;
  {
    const TestServer server({.chat_template = "chatml", .state_dir = folder.path});
    talk.push_back(ask(server)["choices"][0]["message"]);
    const Answer saved = server.post("/states/talk-1/save", json{{"messages", talk}}.dump());
    ASSERT_EQ(saved.status, 200) << saved.body;
    tokens = json::parse(saved.body)["tokens"].get<int64_t>();
    EXPECT_GT(json::parse(saved.body)["cached_tokens"].get<int64_t>(), 0) << "it was here already";
  }
  const TestServer server({.chat_template = "chatml", .state_dir = folder.path});
  ASSERT_EQ(server.post("/states/talk-1/load", "").status, 200);
  talk.push_back({{"role", "user"}, {"content", "Why?"}});
  EXPECT_EQ(cached(ask(server)), tokens) << "only what is new is read";
}

TEST(States, AreListedAndRemoved) {
  const Folder folder;
  const TestServer server({.state_dir = folder.path});
  const auto list = [&] { return json::parse(ask(server.port(), "GET", "/states").body)["data"]; };
  EXPECT_TRUE(list().empty());
  for (const std::string name : {"b", "a.1"})
    ASSERT_EQ(server.post("/states/" + name + "/save", json{{"prompt", long_text()}}.dump()).status, 200);
  ASSERT_EQ(list().size(), 2u);
  EXPECT_EQ(list()[0]["id"], "a.1");
  EXPECT_GT(list()[0]["file_bytes"].get<int64_t>(), 1000);
  EXPECT_EQ(ask(server.port(), "DELETE", "/states/b").status, 200);
  EXPECT_EQ(ask(server.port(), "DELETE", "/states/b").status, 404);
  EXPECT_EQ(list().size(), 1u);
}

TEST(States, NoNameLeadsOutOfTheDirectory) {
  const Folder folder, outside;
  fs::create_directory(folder.path + "/inner");
  const TestServer server({.state_dir = folder.path + "/inner"});
  const std::string body = json{{"prompt", long_text()}}.dump();
  for (const std::string name : {"..", ".", "../x", "a/b", "..%2fx", ".hidden", "", "a b", "caf\xc3\xa9", "/etc/x"}) {
    for (const std::string action : {"save", "load"}) {
      const int status = server.post("/states/" + name + "/" + action, body).status;
      EXPECT_TRUE(status == 400 || status == 404) << name << " " << action << ": " << status;
    }
  }
  EXPECT_EQ(server.post("/states/" + std::string(65, 'a') + "/save", body).status, 400);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 1);
  EXPECT_TRUE(fs::is_empty(folder.path + "/inner"));
  // A link to a good state elsewhere is no state; saving under its name leaves what it points at alone.
  ASSERT_EQ(server.post("/states/good/save", body).status, 200);
  fs::rename(folder.path + "/inner/good.state", outside.path + "/good.state");
  fs::create_symlink(outside.path + "/good.state", folder.path + "/inner/link.state");
  EXPECT_EQ(server.post("/states/link/load", "").status, 404);
  EXPECT_EQ(ask(server.port(), "DELETE", "/states/link").status, 404);
  fs::resize_file(outside.path + "/good.state", 7);
  ASSERT_EQ(server.post("/states/link/save", body).status, 200);
  EXPECT_EQ(fs::file_size(outside.path + "/good.state"), 7u);
}

TEST(States, MistakesAreNamed) {
  const Folder folder;
  const std::string body = json{{"prompt", long_text()}}.dump();
  {
    const TestServer without;
    for (const std::string path : {"/states/a/save", "/states/a/load"}) EXPECT_EQ(without.post(path, body).status, 404);
    EXPECT_EQ(ask(without.port(), "GET", "/states").status, 404);
  }
  const TestServer server({.state_dir = folder.path}, {.slots = 2, .chunk = 32, .cache_bytes = 0});
  EXPECT_EQ(server.post("/states/a/load", "").status, 404);
  EXPECT_EQ(server.post("/states/a/other", "").status, 404);
  EXPECT_EQ(server.post("/states/a", "").status, 404);
  EXPECT_EQ(server.post("/states/a/save", "{").status, 400);
  EXPECT_EQ(server.post("/states/a/save", "{}").status, 400);
  EXPECT_EQ(server.post("/states/a/save", R"({"prompt":"short"})").status, 400);
  EXPECT_EQ(server.post("/states/a/save", R"({"prompt":["a","b"]})").status, 400);
  EXPECT_EQ(server.post("/states/a/save", R"({"messages":[{"role":"user","content":"a"}]})").status, 400)
      << "no template";
  ASSERT_EQ(server.post("/states/a/save", body).status, 200) << "this needs no room in memory";
  const Answer full = server.post("/states/a/load", "");
  EXPECT_EQ(full.status, 400);
  EXPECT_NE(full.body.find("--prefix-cache"), std::string::npos) << full.body;
  fs::resize_file(folder.path + "/a.state", 1000);
  EXPECT_EQ(server.post("/states/a/load", "").status, 400);
  EXPECT_THROW(TestServer({.state_dir = folder.path + "/none"}), Error);
}

TEST(Fields, UnknownOnesAreLogged) {
  std::vector<std::string> said;
  ServerOptions options;
  options.log = [&](const std::string& message) { said.push_back(message); };
  {
    const TestServer server(options);
    EXPECT_EQ(server.post("/v1/completions", R"({"prompt":"a","max_tokens":1,"seed":1,"new\nthing":7})").status, 200);
  }
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0], "unknown member ignored: \"new\\nthing\"");
}

// The model's config.json is a pipe, so that loading lasts until the test has seen what it wants.
TEST(Loading, Is503UntilTheModelIsThere) {
  const Folder folder;
  for (const auto& entry : fs::directory_iterator(demo_model())) {
    if (entry.path().filename() != "config.json")
      fs::create_symlink(entry.path(), folder.path + "/" + entry.path().filename().string());
  }
  const std::string config = folder.path + "/config.json";
  ASSERT_EQ(mkfifo(config.c_str(), 0600), 0);
  ServerOptions options;
  options.port = 0;
  Server server(folder.path, {.slots = 1, .chunk = 32}, options);
  const std::string address = server.address();
  const auto port = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  std::atomic<bool> stop = false;
  std::promise<void> ready;
  std::thread serving([&] { server.run([&] { return stop.load(); }, [&] { ready.set_value(); }); });
  for (const char* path : {"/health", "/ready", "/v1/models", "/metrics"}) {
    const Answer answer = ask(port, "GET", path);
    EXPECT_EQ(answer.status, 503) << path;
    EXPECT_EQ(json::parse(answer.body)["error"]["code"], "loading") << answer.body;
    EXPECT_EQ(answer.headers.at("retry-after"), "1");
  }
  EXPECT_EQ(ask(port, "POST", "/v1/completions", R"({"prompt":"a"})").status, 503);
  EXPECT_EQ(ask(port, "GET", "/live").status, 200);
  EXPECT_EQ(ask(port, "GET", "/").status, 200) << "the page waits for the model itself";
  EXPECT_EQ(ask(port, "GET", "/nothing").status, 404);
  {
    std::ofstream pipe(config);  // the loader has it open, too
    fs::copy_file(demo_model() + "/config.json", folder.path + "/copy");
    fs::rename(folder.path + "/copy", config);  // for whoever reads it again
    pipe << std::ifstream(config).rdbuf();
  }
  ready.get_future().wait();
  EXPECT_EQ(ask(port, "GET", "/health").status, 200);
  EXPECT_EQ(ask(port, "POST", "/v1/completions", R"({"prompt":"a","max_tokens":1})").status, 200);
  stop = true;
  serving.join();
}

TEST(Loading, AModelThatIsNotThereEndsTheServer) {
  ServerOptions options;
  options.port = 0;
  Server server("/no/such/model", {}, options);
  EXPECT_THROW(server.run([] { return false; }), Error);
}

}  // namespace
}  // namespace quamba2::server
