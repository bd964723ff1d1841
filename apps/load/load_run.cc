// SPDX-License-Identifier: Apache-2.0
#include "load_run.h"

#include <fmt/format.h>

#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "event_reader.h"
#include "quamba2/error.h"

namespace quamba2::load {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Request = http::request<http::string_body>;

constexpr size_t kLargestAnswer = 4 << 20;

auto with_error(error_code& ec) { return asio::redirect_error(asio::use_awaitable, ec); }

Clock::duration duration_of(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// IPv6 addresses are written in brackets.
std::string host_field(const Endpoint& e) {
  const bool v6 = e.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", e.host, v6 ? "]" : "", e.port);
}

Request make_request(const Endpoint& e, http::verb verb, const std::string& path, const std::string& body = {}) {
  Request request{verb, e.path + path, 11};
  request.set(http::field::host, host_field(e));
  if (!e.api_key.empty()) request.set(http::field::authorization, "Bearer " + e.api_key);
  if (!body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = body;
  request.prepare_payload();
  return request;
}

// A connection that is kept between requests.
struct Link {
  explicit Link(asio::io_context& io) : stream(io) {}
  beast::tcp_stream stream;
  beast::flat_buffer buffer;
  bool open = false;
};

class Run {
 public:
  Run(const LoadOptions& o, const std::vector<PlannedRequest>& planned, const std::function<bool()>& stop_asked,
      const std::function<void(size_t)>& on_done)
      : options_(o), planned_(planned), stop_asked_(stop_asked), on_done_(on_done) {
    result_.requests.resize(planned.size());
    result_.beside.resize(o.beside.size());
  }

  LoadResult run() {
    server_ = tcp::resolver(io_).resolve(options_.server.host, options_.server.port);
    if (planned_.empty()) return result_;
    asio::co_spawn(io_, watch(), asio::detached);
    begin_ = Clock::now();
    if (options_.health_period > 0) asio::co_spawn(alone_, probe(), asio::detached);
    std::jthread prober([this] { alone_.run(); });
    for (size_t i = 0; i < options_.beside.size(); ++i) asio::co_spawn(io_, beside(i), asio::detached);
    if (options_.timed) {
      for (size_t i = 0; i < planned_.size(); ++i) asio::co_spawn(io_, timed(i), asio::detached);
    } else {
      const size_t workers = std::min(planned_.size(), static_cast<size_t>(options_.concurrency));
      for (size_t w = 0; w < workers; ++w) asio::co_spawn(io_, one_after_another(), asio::detached);
    }
    io_.run();
    alone_.stop();
    prober.join();
    double first = -1, last = -1;
    for (const RequestResult& r : result_.requests) {
      if (r.sent >= 0 && (first < 0 || r.sent < first)) first = r.sent;
      last = std::max(last, r.end);
    }
    result_.seconds = std::max(0.0, last - std::max(first, 0.0));
    return std::move(result_);
  }

 private:
  double now() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  asio::awaitable<void> one_after_another() {
    auto link = std::make_unique<Link>(io_);
    while (next_ < planned_.size()) co_await answer(next_++, link.get());
  }

  asio::awaitable<void> wait_until(double at) {
    error_code ec;
    asio::steady_timer timer(io_, begin_ + duration_of(at));
    co_await timer.async_wait(with_error(ec));
  }

  std::unique_ptr<Link> take_link() {
    if (idle_.empty()) return std::make_unique<Link>(io_);
    std::unique_ptr<Link> link = std::move(idle_.back());
    idle_.pop_back();
    return link;
  }

  asio::awaitable<void> timed(size_t index) {
    co_await wait_until(planned_[index].at);
    std::unique_ptr<Link> link = take_link();
    co_await answer(index, link.get());
    idle_.push_back(std::move(link));
  }

  asio::awaitable<void> beside(size_t index) {
    co_await wait_until(options_.beside[index].at);
    std::unique_ptr<Link> link = take_link();
    co_await ask_for(options_.beside[index], link.get(), &result_.beside[index]);
    idle_.push_back(std::move(link));
  }

  asio::awaitable<void> ask_for(const PlannedRequest& planned, Link* link, RequestResult* r) {
    r->sent = now();
    const bool kept = link->open;
    const bool answered = co_await exchange(planned, link, r);
    // A server may close a connection that nobody used while the next request is on its way: once more, on a new one.
    if (!answered && kept) {
      r->error.clear();
      link->open = false;
      co_await exchange(planned, link, r);
    }
    r->end = now();
    if (!r->error.empty()) {
      link->open = false;
      link->stream.close();
    }
  }

  asio::awaitable<void> answer(size_t index, Link* link) {
    co_await ask_for(planned_[index], link, &result_.requests[index]);
    ++done_;
    on_done_(done_);
    if (options_.memory_every > 0 && done_ % options_.memory_every == 0) {
      asio::co_spawn(io_, look_at_memory(done_), [this](std::exception_ptr) { stop_where_done(--looking_); });
      ++looking_;
    }
    stop_where_done(looking_);
  }

  void stop_where_done(int looking) {
    if (done_ == planned_.size() && looking == 0) io_.stop();
  }

  // Returns whether an answer began to come.
  asio::awaitable<bool> exchange(const PlannedRequest& planned, Link* link, RequestResult* r) {
    error_code ec;
    co_await connect(link, &ec);
    if (!ec) {
      const Request request = make_request(options_.server, http::verb::post, "/v1/completions", planned.body);
      co_await http::async_write(link->stream, request, with_error(ec));
    }
    if (!ec) co_return co_await receive(link, r);
    r->error = "cannot send: " + ec.message();
    co_return false;
  }

  asio::awaitable<void> connect(Link* link, error_code* ec) {
    link->stream.expires_after(duration_of(options_.patience));
    if (link->open) co_return;
    link->buffer.clear();
    link->stream.close();
    co_await link->stream.async_connect(server_, with_error(*ec));
    if (*ec) co_return;
    link->open = true;
    error_code ignored;
    link->stream.socket().set_option(tcp::no_delay(true), ignored);
  }

  asio::awaitable<bool> receive(Link* link, RequestResult* r) {
    error_code ec;
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    co_await http::async_read_header(link->stream, link->buffer, parser, with_error(ec));
    if (ec) {
      r->error = "no answer: " + ec.message();
      co_return false;
    }
    const int status = parser.get().result_int();
    EventReader events;
    std::string refusal;
    bool whole = false;
    std::vector<char> piece(16 << 10);
    while (!ec && !parser.is_done() && r->error.empty()) {
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      link->stream.expires_after(duration_of(options_.patience));
      co_await http::async_read_some(link->stream, link->buffer, parser, with_error(ec));
      if (ec == http::error::need_buffer) ec = {};
      const std::string_view bytes(piece.data(), piece.size() - parser.get().body().size);
      if (status != 200) {
        refusal += bytes.substr(0, kLargestAnswer - std::min(kLargestAnswer, refusal.size()));
      } else {
        whole |= take(events.push(bytes), r);
      }
    }
    if (status != 200) {
      r->error = refusal_text(status, refusal);
    } else if (r->error.empty() && (ec || !whole)) {
      r->error = ec ? "cut off: " + ec.message() : "the stream ended without [DONE]";
    }
    if (!parser.keep_alive()) link->open = false;
    co_return true;
  }

  // Returns whether the stream has ended as it should.
  bool take(const EventNews& news, RequestResult* r) {
    const double time = now();
    for (int i = 0; i < news.texts; ++i) r->texts.push_back(time);
    if (news.prompt_tokens >= 0) r->input_tokens = news.prompt_tokens;
    if (news.output_tokens >= 0) r->output_tokens = news.output_tokens;
    if (!news.error.empty()) r->error = "an error in the stream: " + news.error;
    return news.done;
  }

  static std::string refusal_text(int status, const std::string& body) {
    const auto json = nlohmann::json::parse(body, nullptr, false);
    std::string why;
    if (json.is_object() && json.contains("error") && json["error"].is_object()) {
      const auto at = json["error"].find("message");
      if (at != json["error"].end() && at->is_string()) why = ": " + at->get<std::string>();
    }
    return fmt::format("status {}{}", status, why);
  }

  // A whole answer to a question without a body.
  asio::awaitable<void> ask(Link* link, const Request& request, http::response<http::string_body>* response,
                            error_code* ec) {
    co_await connect(link, ec);
    if (!*ec) co_await http::async_write(link->stream, request, with_error(*ec));
    if (!*ec) co_await http::async_read(link->stream, link->buffer, *response, with_error(*ec));
  }

  // Is the server alert while it works? Ends where the server has no such route. On a thread of its own: the others' events
  // would be counted as the server's.
  asio::awaitable<void> probe() {
    Link link(alone_);
    asio::steady_timer timer(alone_);
    const Request request = make_request(options_.server, http::verb::get, "/health");
    for (bool first = true;; first = false) {
      error_code ec;
      const double begin = now();
      http::response<http::string_body> response;
      co_await ask(&link, request, &response, &ec);
      const bool good = !ec && response.result_int() == 200;
      if (!good && first) co_return;
      if (good) {
        result_.health.push_back(now() - begin);
      } else {
        ++result_.health_failures;
      }
      if (ec || !response.keep_alive()) link.open = false;
      timer.expires_after(duration_of(options_.health_period));
      co_await timer.async_wait(with_error(ec));
    }
  }

  asio::awaitable<void> look_at_memory(size_t done) {
    Link link(io_);
    error_code ec;
    const Request request = make_request(options_.server, http::verb::get, "/metrics");
    http::response<http::string_body> response;
    co_await ask(&link, request, &response, &ec);
    const size_t at = response.body().find("\nprocess_resident_memory_bytes ");
    if (at != std::string::npos)
      result_.memory.emplace_back(done, std::atof(response.body().c_str() + response.body().find(' ', at)));
  }

  asio::awaitable<void> watch() {
    asio::steady_timer timer(io_);
    for (error_code ec; !ec;) {
      if (stop_asked_()) io_.stop();
      timer.expires_after(std::chrono::milliseconds(50));
      co_await timer.async_wait(with_error(ec));
    }
  }

  const LoadOptions& options_;
  const std::vector<PlannedRequest>& planned_;
  const std::function<bool()>& stop_asked_;
  const std::function<void(size_t)>& on_done_;
  asio::io_context io_{1}, alone_{1};  // of the thread that probes
  tcp::resolver::results_type server_;
  Clock::time_point begin_ = Clock::now();
  LoadResult result_;
  std::vector<std::unique_ptr<Link>> idle_;
  size_t next_ = 0, done_ = 0;
  int looking_ = 0;  // at the memory, now
};

// Blocks; for questions before a run. A body of a status other than 200 is empty where `optional`.
std::string ask(const Endpoint& e, const std::string& path, bool optional) {
  try {
    asio::io_context io;
    beast::tcp_stream stream(io);
    stream.connect(tcp::resolver(io).resolve(e.host, e.port));
    http::write(stream, make_request(e, http::verb::get, path));
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kLargestAnswer);
    http::read(stream, buffer, parser);
    if (parser.get().result_int() == 200) return parser.get().body();
    if (optional) return {};
    throw Error(ErrorCode::kRuntime, "the server refuses", host_field(e) + e.path + path,
                fmt::format("status {}", parser.get().result_int()), "see --url and --api-key");
  } catch (const boost::system::system_error& error) {
    throw Error(ErrorCode::kRuntime, "cannot reach the server", host_field(e), error.code().message(),
                "start it, or name another with --url");
  }
}

}  // namespace

LoadResult run_load(const LoadOptions& options, const std::vector<PlannedRequest>& requests,
                    const std::function<bool()>& stop_asked, const std::function<void(size_t)>& on_done) {
  return Run(options, requests, stop_asked, on_done).run();
}

ServerFacts ask_server(const Endpoint& server) {
  ServerFacts facts;
  const auto models = nlohmann::json::parse(ask(server, "/v1/models", false), nullptr, false);
  try {
    facts.model = models.at("data").at(0).at("id").get<std::string>();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kRuntime, "the server lists no model", host_field(server) + server.path + "/v1/models",
                "its answer is none of the OpenAI API", "see --url");
  }
  const auto info = nlohmann::json::parse(ask(server, "/tokenizer_info", true), nullptr, false);
  if (info.is_object() && info.contains("vocab_size") && info["vocab_size"].is_number_integer())
    facts.vocab_size = info["vocab_size"].get<int64_t>();
  return facts;
}

}  // namespace quamba2::load
