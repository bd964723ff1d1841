// SPDX-License-Identifier: Apache-2.0
#include "http_server.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <deque>
#include <mutex>
#include <random>
#include <set>

#include "alert_thread.h"
#include "quamba2/error.h"

namespace quamba2::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Parser = http::request_parser<http::string_body>;

// Errors come back as values: leaving is what clients do.
auto with_error(error_code& ec) { return asio::redirect_error(asio::use_awaitable, ec); }

std::string new_request_id() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  return fmt::format("{:016x}{:016x}", random(), random());
}

// Ids go back to the client and into logs: no control characters, no length.
std::string request_id(std::string_view given) {
  const bool good = !given.empty() && given.size() <= 128 &&
                    std::all_of(given.begin(), given.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  return good ? std::string(given) : new_request_id();
}

}  // namespace

// The answer to one request, between whoever makes it and the connection that sends it. Its state belongs to the network
// thread; calls from others are posted there.
class Exchange : public Responder, public std::enable_shared_from_this<Exchange> {
 public:
  explicit Exchange(asio::any_io_executor executor) : executor_(executor), wake_(executor) {}

  void send(HttpResponse response) override {
    on_network([response = std::move(response)](Exchange& x) mutable {
      if (x.head_) return;
      x.pending_.push_back(std::exchange(response.body, {}));
      x.head_ = std::move(response);
      x.ended_ = true;
    });
  }
  void begin(HttpResponse head) override {
    on_network([head = std::move(head)](Exchange& x) mutable {
      if (x.head_) return;
      x.head_ = std::move(head);
      x.streams_ = true;
    });
  }
  void write(std::string piece) override {
    on_network([piece = std::move(piece)](Exchange& x) mutable {
      if (!x.streams_ || x.ended_ || x.gone_) return;
      x.backlog_ += piece.size();
      x.pending_.push_back(std::move(piece));
    });
  }
  void end() override {
    on_network([](Exchange& x) { x.ended_ = true; });
  }
  void on_gone(std::function<void()> gone) override {
    on_network([gone = std::move(gone)](Exchange& x) mutable {
      if (x.gone_) return gone();
      x.on_gone_ = std::move(gone);
    });
  }

  // For the connection, on the network thread.
  asio::awaitable<void> wait() {
    error_code ec;
    wake_.expires_at(std::chrono::steady_clock::time_point::max());
    co_await wake_.async_wait(with_error(ec));
  }
  void leave() {
    if (std::exchange(gone_, true)) return;
    pending_.clear();
    wake_.cancel();
    if (on_gone_) std::exchange(on_gone_, nullptr)();
  }
  void forget() { on_gone_ = nullptr; }  // the answer was sent
  bool gone() const { return gone_; }
  bool streams() const { return streams_; }
  bool has_news() const { return gone_ || (head_ && (!pending_.empty() || ended_ || !head_taken_)); }
  bool drained() const { return ended_ && pending_.empty(); }
  size_t backlog() const { return backlog_; }
  HttpResponse take_head() {
    head_taken_ = true;
    return *head_;
  }
  std::string take_pending() {
    std::string all;
    for (std::string& piece : pending_) all += piece;
    pending_.clear();
    backlog_ = 0;
    return all;
  }

 private:
  template <class Work>
  void on_network(Work work) {
    asio::dispatch(executor_, [self = shared_from_this(), work = std::move(work)]() mutable {
      work(*self);
      self->wake_.cancel();
    });
  }

  asio::any_io_executor executor_;
  asio::steady_timer wake_;
  std::optional<HttpResponse> head_;
  std::deque<std::string> pending_;
  size_t backlog_ = 0;
  bool streams_ = false, ended_ = false, gone_ = false, head_taken_ = false;
  std::function<void()> on_gone_;
};

struct HttpServer::Impl {
  struct Connection : std::enable_shared_from_this<Connection> {
    explicit Connection(tcp::socket s) : socket(std::move(s)), timer(socket.get_executor()) {}

    // What the socket does ends with an error after `time`, unless allowed more meanwhile. The socket stays open, so that
    // the client can be told.
    void allow(std::chrono::milliseconds time) {
      timed_out = false;
      timer.expires_after(time);
      timer.async_wait([weak = weak_from_this(), turn = ++turn](error_code ec) {
        const auto self = weak.lock();
        if (ec || !self || self->turn != turn) return;
        self->timed_out = true;
        error_code ignored;
        self->socket.cancel(ignored);
      });
    }
    void allow_ever() {
      ++turn;
      timer.cancel();
    }

    tcp::socket socket;
    asio::steady_timer timer;
    uint64_t turn = 0;
    beast::flat_buffer buffer;
    bool answering = false, timed_out = false;
  };
  using ConnectionPtr = std::shared_ptr<Connection>;

  Impl(HttpLimits l, HttpHandler h, std::function<std::string(int, const std::string&)> e)
      : limits(l), handler(std::move(h)), error_body(std::move(e)), acceptor(io), ticker(io), last_moment(io) {}

  void listen(const std::string& host, uint16_t wanted) {
    error_code ec;
    const auto found = tcp::resolver(io).resolve(host, std::to_string(wanted), tcp::resolver::passive, ec);
    if (!ec && !found.empty()) {
      const tcp::endpoint at = *found.begin();
      acceptor.open(at.protocol(), ec);
      if (!ec) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
      if (!ec) acceptor.bind(at, ec);
      if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
    }
    if (!ec && acceptor.is_open()) port = acceptor.local_endpoint(ec).port();
    if (ec || found.empty()) {
      throw Error(ErrorCode::kRuntime, "cannot listen", fmt::format("{}:{}", host, wanted),
                  ec ? ec.message() : "the name has no address", "choose another --host or --port");
    }
  }

  asio::awaitable<void> accept() {
    for (;;) {
      error_code ec;
      tcp::socket socket = co_await acceptor.async_accept(with_error(ec));
      if (ec == asio::error::operation_aborted || stopping) co_return;
      if (ec) {  // out of file descriptors, say: others will end
        asio::steady_timer pause(io, std::chrono::milliseconds(20));
        co_await pause.async_wait(with_error(ec));
        continue;
      }
      socket.set_option(tcp::no_delay(true), ec);
      auto connection = std::make_shared<Connection>(std::move(socket));
      connection->buffer.max_size(limits.header_bytes + (64 << 10));
      connections.insert(connection);
      count = static_cast<int>(connections.size());
      asio::co_spawn(io, serve(connection), [this, connection](std::exception_ptr) {
        error_code ignored;
        connection->socket.close(ignored);
        connections.erase(connection);
        count = static_cast<int>(connections.size());
        if (stopping && connections.empty()) finish();
      });
    }
  }

  asio::awaitable<void> serve(ConnectionPtr c) {
    if (count > limits.connections) {
      co_await refuse(c, 503, "there are too many connections");
      co_return;
    }
    while (!stopping) {
      error_code ec;
      if (c->buffer.size() == 0) {
        c->allow(limits.idle_time);
        const size_t bytes = co_await c->socket.async_read_some(c->buffer.prepare(4096), with_error(ec));
        if (ec) co_return;
        c->buffer.commit(bytes);
      }
      c->answering = true;
      std::optional<Parser> parser;
      if (!co_await read(c, &parser)) co_return;
      const bool more = co_await answer(c, parser->release());
      c->answering = false;
      if (!more) break;
    }
    co_await linger(c);
  }

  // A request within its limits; one that is not is answered here.
  asio::awaitable<bool> read(ConnectionPtr c, std::optional<Parser>* parser) {
    error_code ec;
    parser->emplace();
    (*parser)->header_limit(static_cast<uint32_t>(limits.header_bytes));
    (*parser)->body_limit(limits.body_bytes);
    c->allow(limits.header_time);
    co_await http::async_read_header(c->socket, c->buffer, **parser, with_error(ec));
    if (!ec && beast::iequals((*parser)->get()[http::field::expect], "100-continue")) {
      co_await asio::async_write(c->socket, asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n")),
                                 with_error(ec));
    }
    if (!ec) {
      c->allow(limits.body_time);
      co_await http::async_read(c->socket, c->buffer, **parser, with_error(ec));
    }
    if (!ec) co_return true;
    if (c->timed_out)
      co_await refuse(c, 408, "the request did not come in time");
    else if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
      co_await refuse(c, 431, "the request's header is too large");
    else if (ec == http::error::body_limit)
      co_await refuse(c, 413, fmt::format("the request's body has more than {} bytes", limits.body_bytes));
    else if (ec.category() == http::make_error_code(http::error::bad_method).category() &&
             ec != http::error::end_of_stream && ec != http::error::partial_message)
      co_await refuse(c, 400, "this is no HTTP request: " + ec.message());
    co_return false;
  }

  // An answer to something that no handler sees; the connection ends with it.
  asio::awaitable<void> refuse(ConnectionPtr c, int status, const std::string& why) {
    http::response<http::string_body> response(static_cast<http::status>(status), 11, error_body(status, why));
    response.set(http::field::content_type, "application/json");
    response.set("X-Request-Id", new_request_id());
    response.keep_alive(false);
    response.prepare_payload();
    error_code ec;
    c->allow(std::chrono::seconds(2));
    co_await http::async_write(c->socket, response, with_error(ec));
    co_await linger(c);
  }

  // Closes so that the client sees the answer: what it still sends would otherwise reset the connection.
  asio::awaitable<void> linger(ConnectionPtr c) {
    error_code ec;
    c->socket.shutdown(tcp::socket::shutdown_send, ec);
    if (ec) co_return;
    std::string sink(16 << 10, '\0');
    c->allow(std::chrono::seconds(1));
    for (size_t read = 0; !ec && read < (4 << 20);)
      read += co_await c->socket.async_read_some(asio::buffer(sink), with_error(ec));
  }

  // Returns whether the connection goes on.
  asio::awaitable<bool> answer(ConnectionPtr c, http::request<http::string_body> request) {
    const auto exchange = std::make_shared<Exchange>(c->socket.get_executor());
    HttpRequest plain;
    plain.method = std::string(request.method_string());
    const std::string_view target(request.target().data(), request.target().size());
    plain.path = std::string(target.substr(0, target.find('?')));
    const auto field = [&](auto name) { return std::string(request[name]); };
    plain.id = request_id(field("X-Request-Id"));
    plain.authorization = field(http::field::authorization);
    plain.body = std::move(request.body());
    const bool keep = request.keep_alive() && !stopping;
    const bool chunks = request.version() >= 11;
    const std::string id = plain.id;
    c->allow_ever();
    asio::co_spawn(io, watch(c, exchange), asio::detached);
    handler(std::move(plain), exchange);
    while (!exchange->has_news()) co_await exchange->wait();
    bool good = false;
    if (!exchange->gone()) good = co_await send(c, exchange, id, keep && !stopping, chunks);
    if (good) {
      exchange->forget();
    } else {
      exchange->leave();
    }
    error_code ignored;
    c->socket.cancel(ignored);  // ends the watch
    co_return good&& keep && !stopping && (chunks || !exchange->streams());
  }

  asio::awaitable<bool> send(ConnectionPtr c, std::shared_ptr<Exchange> x, std::string id, bool keep, bool chunks) {
    const HttpResponse head = x->take_head();
    http::response<http::empty_body> response(static_cast<http::status>(head.status), chunks ? 11 : 10);
    response.set(http::field::content_type, head.content_type);
    response.set("X-Request-Id", id);
    for (const auto& [name, value] : head.headers) response.set(name, value);
    response.keep_alive(keep && (chunks || !x->streams()));
    std::string body = x->take_pending();
    if (!x->streams()) response.content_length(body.size());
    chunks = chunks && x->streams();
    if (chunks) response.chunked(true);  // false would take the length away
    http::response_serializer<http::empty_body> serializer(response);
    error_code ec;
    c->allow(limits.write_time);
    co_await http::async_write_header(c->socket, serializer, with_error(ec));
    for (;;) {
      if (!ec && !body.empty()) co_await write_piece(c, body, chunks, &ec);
      if (ec || x->gone()) co_return false;
      if (x->drained()) break;
      while (!x->has_news() || (!x->drained() && !x->gone() && x->backlog() == 0)) co_await x->wait();
      body = x->take_pending();
    }
    if (chunks) co_await asio::async_write(c->socket, http::make_chunk_last(), with_error(ec));
    co_return !ec;
  }

  asio::awaitable<void> write_piece(ConnectionPtr c, const std::string& piece, bool chunk, error_code* ec) {
    c->allow(limits.write_time);
    if (chunk) {
      co_await asio::async_write(c->socket, http::make_chunk(asio::buffer(piece)), with_error(*ec));
    } else {
      co_await asio::async_write(c->socket, asio::buffer(piece), with_error(*ec));
    }
    c->allow_ever();
  }

  // Sees a client that leaves while its answer is being made. One that sends its next request already is not watched.
  asio::awaitable<void> watch(ConnectionPtr c, std::shared_ptr<Exchange> exchange) {
    error_code ec;
    co_await c->socket.async_wait(tcp::socket::wait_read, with_error(ec));
    if (ec) co_return;
    char byte;
    const ssize_t got = ::recv(c->socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) exchange->leave();
  }

  asio::awaitable<void> ticking() {
    error_code ec;
    while (!ec) {
      if (tick) tick();
      ticker.expires_after(std::chrono::milliseconds(50));
      co_await ticker.async_wait(with_error(ec));
    }
  }

  void post(std::function<void()> work) {
    const std::lock_guard lock(posted_mutex);
    posted.push_back(std::move(work));
    if (!std::exchange(pumping, true)) asio::post(io, [this] { pump(); });
  }

  // A few at a time: what the network brings (a question for /health among hundreds of streams) has its turn in between.
  void pump() {
    constexpr size_t kTogether = 8;
    std::vector<std::function<void()>> now;
    {
      const std::lock_guard lock(posted_mutex);
      while (!posted.empty() && now.size() < kTogether) {
        now.push_back(std::move(posted.front()));
        posted.pop_front();
      }
      pumping = !now.empty();
    }
    for (const auto& work : now) work();
    if (!now.empty()) asio::post(io, [this] { pump(); });
  }

  void stop(std::chrono::milliseconds grace) {
    if (std::exchange(stopping, true)) return;
    error_code ignored;
    acceptor.close(ignored);
    for (const ConnectionPtr& c : connections) {
      if (!c->answering) c->socket.shutdown(tcp::socket::shutdown_receive, ignored);
    }
    if (connections.empty()) return finish();
    last_moment.expires_after(grace);
    last_moment.async_wait([this](error_code ec) {
      if (!ec) finish();
    });
  }

  void finish() {
    error_code ignored;
    for (const ConnectionPtr& c : connections) c->socket.close(ignored);
    last_moment.cancel();
    ticker.cancel();
    io.stop();
  }

  HttpLimits limits;
  HttpHandler handler;
  std::function<std::string(int, const std::string&)> error_body;
  asio::io_context io{1};
  tcp::acceptor acceptor;
  asio::steady_timer ticker, last_moment;
  std::set<ConnectionPtr> connections;
  std::atomic<int> count = 0;
  uint16_t port = 0;
  bool stopping = false;
  std::function<void()> tick;
  std::mutex posted_mutex;
  std::deque<std::function<void()>> posted;
  bool pumping = false;
};

HttpServer::HttpServer(const std::string& host, uint16_t port, HttpLimits limits, HttpHandler handler,
                       std::function<std::string(int, const std::string&)> error_body)
    : impl_(std::make_unique<Impl>(limits, std::move(handler), std::move(error_body))) {
  impl_->listen(host, port);
}
HttpServer::~HttpServer() = default;

uint16_t HttpServer::port() const { return impl_->port; }
int HttpServer::connections() const { return impl_->count; }
void HttpServer::set_tick(std::function<void()> tick) { impl_->tick = std::move(tick); }

void HttpServer::run() {
  run_in_short_slices();
  asio::co_spawn(impl_->io, impl_->accept(), asio::detached);
  asio::co_spawn(impl_->io, impl_->ticking(), asio::detached);
  impl_->io.run();
}

void HttpServer::stop(std::chrono::milliseconds grace) {
  asio::post(impl_->io, [this, grace] { impl_->stop(grace); });
}
void HttpServer::post(std::function<void()> work) { impl_->post(std::move(work)); }

}  // namespace quamba2::server
