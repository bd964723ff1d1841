// SPDX-License-Identifier: Apache-2.0
// A thousand malformed and hostile requests: each gets a 4xx or has its connection ended, in bounded time, while others
// are served.
#include <gtest/gtest.h>

#include <random>

#include "test_server.h"

namespace quamba2::server {
namespace {

using std::chrono::milliseconds;

class Hostile {
 public:
  explicit Hostile(uint64_t seed) : random_(seed) {}

  // The bytes of a connection, and whether the client leaves without waiting for an answer.
  std::pair<std::string, bool> next() {
    std::string body = R"({"prompt":"It was a dark night","max_tokens":4,"temperature":0.5,"stop":["x"],"logprobs":2})";
    std::string head = "POST /v1/completions HTTP/1.1\r\nHost: x\r\n";
    bool leaves = false;
    switch (below(10)) {
      case 0: body = std::string(1 + below(50000), "[{\"9"[below(4)]); break;  // deep, broken
      case 1:
        body.insert(1 + below(body.size() - 1), std::string(1 + below(4), static_cast<char>(128 + below(128))));
        break;
      case 2: body = "{\"prompt\":\"a\",\"" + number_name() + "\":" + absurd() + "}"; break;
      case 3: body.resize(below(body.size())); break;                                     // broken JSON
      case 4: return {request(head, body).substr(0, below(150)), true};                   // cut connection
      case 5: return {random_bytes(1 + below(2000)), false};                              // no HTTP
      case 6: head += "X-A: " + std::string(20000 + below(100000), 'a') + "\r\n"; break;  // huge header
      case 7: body = std::string(70000 + below(200000), ' '); break;                      // huge body
      case 8: return {head + "Content-Length: 99999999999999999999\r\n\r\n" + body, false};
      case 9:  // a body that never comes
        leaves = below(4) != 0;
        return {head + "Content-Length: 5000\r\n\r\n" + body, leaves};
    }
    return {request(head, body), false};
  }

 private:
  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }
  std::string random_bytes(size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += static_cast<char>(below(256));
    return "\x01" + out + "\r\n\r\n";
  }
  static std::string request(const std::string& head, const std::string& body) {
    return head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::string number_name() {
    const std::vector<std::string> names = {"max_tokens", "temperature", "top_p",     "n",
                                            "logprobs",   "seed",        "min_tokens"};
    return names[below(names.size())];
  }
  std::string absurd() {
    const std::vector<std::string> values = {"-1e308", "1e999", "-99999999999999999999", "[]", "{}", "\"NaN\"", "-0.5"};
    return values[below(values.size())];
  }
  std::mt19937_64 random_;
};

TEST(HostileRequests, AThousandAreAnsweredOrDroppedInTime) {
  TestServer server({.max_body = 64 << 10, .header_time = milliseconds(500), .body_time = milliseconds(500)});
  const double before = server.process_metric("process_open_fds");
  Hostile hostile(1);
  std::map<int, int> statuses;
  double slowest = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto [bytes, leaves] = hostile.next();
    const auto begin = std::chrono::steady_clock::now();
    Client client(server.port());
    client.send(bytes);
    if (leaves) continue;
    const Answer answer = client.answer();
    slowest = std::max(slowest, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    ++statuses[answer.status];
    ASSERT_TRUE(answer.status == 0 || (answer.status >= 400 && answer.status < 500))
        << answer.status << " " << i << "\n"
        << bytes.substr(0, 300);
    if (answer.status != 0) {
      ASSERT_TRUE(nlohmann::json::parse(answer.body)["error"]["message"].is_string());
    }
  }
  EXPECT_LT(slowest, 20);  // half a second is allowed; the rest is for a machine that does other things
  EXPECT_GT(statuses[400], 200);
  EXPECT_GT(statuses[413], 20);
  EXPECT_GT(statuses[431], 20);
  EXPECT_GT(statuses[408], 5);
  EXPECT_LT(statuses[0], 50);
  EXPECT_EQ(
      server.complete({{"prompt", "It was"}, {"max_tokens", 3}, {"ignore_eos", true}})["usage"]["completion_tokens"],
      3);
  for (int i = 0; i < 1000 && server.metric("quamba2:num_requests_running") > 0; ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(server.metric("quamba2:num_requests_running"), 0);
  EXPECT_LT(server.process_metric("process_open_fds"), before + 8) << "connections are left over";
}

}  // namespace
}  // namespace quamba2::server
