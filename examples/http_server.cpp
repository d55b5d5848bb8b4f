// An HTTP/1.1 server: keep-alive, pipelined requests, chunked bodies, "Expect: 100-continue". What
// a client can make it keep or wait for is bounded: the size of the header and of the body, the
// time until a request is complete, the time that an answer lies unread.
//
//   GET /          a greeting
//   GET /bytes/N   so many bytes, up to 1 GiB
//   POST /echo     the body
//
// Try it:   http_server 8080       and in another terminal:   curl http://localhost:8080/

#include <http_parser.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <event/event.hpp>
#include <event/net.hpp>
#include <exception>
#include <iostream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "support/command_line.hpp"
#include "support/server.hpp"

namespace {

namespace co = event::co;
namespace net = event::net;

struct Limits {
  std::size_t header = std::size_t{16} * 1024;
  std::size_t body = std::size_t{1024} * 1024;
  std::chrono::milliseconds request{30'000};  // from the end of the answer before
  std::chrono::milliseconds unread{30'000};
  std::chrono::milliseconds close{2'000};
  std::chrono::milliseconds grace{2'000};
};

// One request, filled by the parser as its bytes come.
class Request {
 public:
  explicit Request(std::size_t max_body) : max_body_(max_body) {
    http_parser_init(&parser_, HTTP_REQUEST);
    parser_.data = this;
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // Takes bytes up to the end of the request; returns how many.
  std::size_t parse(std::string_view bytes) {
    begun_ = begun_ || !bytes.empty();
    const std::size_t taken =
        http_parser_execute(&parser_, &settings(), bytes.data(), bytes.size());
    const http_errno error = HTTP_PARSER_ERRNO(&parser_);
    if (status_ == 200 && error != HPE_OK && error != HPE_PAUSED) {
      status_ = error == HPE_HEADER_OVERFLOW ? 431 : 400;
    }
    return taken;
  }

  bool begun() const noexcept { return begun_; }
  bool complete() const noexcept { return complete_ || status_ != 200; }
  bool wants_continue() noexcept { return !complete() && std::exchange(expects_continue_, false); }
  bool keep_alive() const noexcept { return keep_alive_ && status_ == 200; }
  // 200, or what is wrong with it.
  int status() const noexcept { return status_; }
  http_method method() const noexcept { return static_cast<http_method>(parser_.method); }
  const std::string& target() const noexcept { return target_; }
  const std::string& body() const noexcept { return body_; }

 private:
  static Request& of(http_parser* parser) { return *static_cast<Request*>(parser->data); }

  static const http_parser_settings& settings() {
    static const http_parser_settings all = [] {
      http_parser_settings some{};
      some.on_url = [](http_parser* parser, const char* data, std::size_t size) {
        of(parser).target_.append(data, size);
        return 0;
      };
      some.on_header_field = [](http_parser* parser, const char* data, std::size_t size) {
        of(parser).on_field({data, size});
        return 0;
      };
      some.on_header_value = [](http_parser* parser, const char* data, std::size_t size) {
        of(parser).on_value({data, size});
        return 0;
      };
      some.on_headers_complete = [](http_parser* parser) { return of(parser).on_headers(); };
      some.on_body = [](http_parser* parser, const char* data, std::size_t size) {
        return of(parser).on_body({data, size});
      };
      some.on_message_complete = [](http_parser* parser) {
        of(parser).complete_ = true;
        of(parser).keep_alive_ = http_should_keep_alive(parser) != 0;
        http_parser_pause(parser, 1);  // what follows is the next request
        return 0;
      };
      return some;
    }();
    return all;
  }

  // Names and values come in pieces.
  void on_field(std::string_view piece) {
    if (std::exchange(in_value_, false)) field_.clear();
    field_ += piece;
  }
  void on_value(std::string_view piece) {
    in_value_ = true;
    std::ranges::transform(field_, field_.begin(), [](unsigned char c) { return std::tolower(c); });
    if (field_ == "expect" && piece.starts_with("100-")) expects_continue_ = true;
  }
  int on_headers() {
    const bool has_length = parser_.content_length != std::numeric_limits<std::uint64_t>::max();
    return has_length && parser_.content_length > max_body_ ? refuse() : 0;
  }
  int on_body(std::string_view piece) {
    if (piece.size() > max_body_ - body_.size()) return refuse();
    body_ += piece;
    return 0;
  }
  int refuse() {
    status_ = 413;
    return -1;
  }

  http_parser parser_{};
  std::size_t max_body_;
  int status_ = 200;
  bool begun_ = false;
  bool complete_ = false;
  bool keep_alive_ = false;
  bool expects_continue_ = false;
  bool in_value_ = false;
  std::string field_;
  std::string target_;
  std::string body_;
};

// What comes after the request stays in `io`. Returns false if the client has nothing more to ask.
co::Task<bool> read_request(net::Buffered& io, Request& request) {
  while (!request.complete()) {
    const std::string_view bytes = co_await io.peek();
    if (bytes.empty()) co_return false;
    io.consume(request.parse(bytes));
    if (request.wants_continue()) io.put("HTTP/1.1 100 Continue\r\n\r\n");
  }
  co_return true;
}

std::string head(int status, std::size_t length, bool keep_alive) {
  return "HTTP/1.1 " + std::to_string(status) + " " +
         http_status_str(static_cast<http_status>(status)) +
         "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(length) +
         "\r\nConnection: " + (keep_alive ? "keep-alive" : "close") + "\r\n\r\n";
}

// The N of /bytes/N.
std::optional<std::size_t> count_of(std::string_view target) {
  constexpr std::string_view kStart = "/bytes/";
  constexpr std::size_t kMost = std::size_t{1} << 30;
  if (!target.starts_with(kStart)) return std::nullopt;
  target.remove_prefix(kStart.size());
  std::size_t count = 0;
  const auto [end, error] = std::from_chars(target.data(), target.data() + target.size(), count);
  const bool right = error == std::errc() && end == target.data() + target.size() && count <= kMost;
  return right ? std::optional(count) : std::nullopt;
}

co::Task<> send_bytes(net::Buffered& io, std::size_t count) {
  const std::string block(std::min(count, std::size_t{16} * 1024), 'x');
  for (std::size_t left = count; left > 0; left -= std::min(left, block.size())) {
    const std::string_view part = std::string_view(block).substr(0, left);
    co_await io.write(part);
  }
}

// Answers of pipelined requests are sent together: when the next request has to be waited for.
co::Task<> answer(net::Buffered& io, const Request& request) {
  const bool is_get = request.method() == HTTP_GET || request.method() == HTTP_HEAD;
  const auto count = count_of(request.target());
  int status = request.status();
  std::string body;
  if (status != 200) {
    body = std::string(http_status_str(static_cast<http_status>(status))) + "\n";
  } else if (request.target() == "/" && is_get) {
    body = "hello\n";
  } else if (request.target() == "/echo" && request.method() == HTTP_POST) {
    body = request.body();
  } else if (!count || !is_get) {
    const bool exists = count || request.target() == "/" || request.target() == "/echo";
    status = exists ? 405 : 404;
    body = exists ? "wrong method\n" : "not found\n";
  }
  const bool sends_count = status == 200 && count.has_value();
  io.put(head(status, sends_count ? *count : body.size(), request.keep_alive()));
  if (request.method() == HTTP_HEAD && request.status() == 200) co_return;
  if (sends_count) {
    co_await send_bytes(io, *count);
  } else {
    co_await io.write(body);
  }
}

co::Task<> serve_client(event::Base& base, net::Socket socket, const Limits& limits) {
  net::SocketStream stream(base, std::move(socket));
  net::Buffered io(stream, {.most = limits.body + limits.header});
  for (bool goes_on = true; goes_on;) {
    Request request(limits.body);
    const auto read = co_await co::try_with_timeout(limits.request, read_request(io, request));
    if (read.has_value() && *read) {
      stream.idle_timeout(limits.unread);
      co_await answer(io, request);
      stream.idle_timeout(std::chrono::milliseconds(0));
      goes_on = request.keep_alive();
    } else {
      goes_on = false;
      if (!read && request.begun()) io.put(head(408, 0, false));
    }
  }
  co_await co::try_with_timeout(limits.unread, io.flush());
  co_await net::drain_and_close(stream, limits.close);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Answers HTTP requests.");
    support::ServerOptions options;
    Limits limits;
    command_line.add_server(options);
    command_line.add_number("--max-header", limits.header, "Refuse a larger header", 1, 1 << 20);
    command_line.add_number("--max-body", limits.body, "Refuse a larger body", 0, 1 << 30);
    command_line.add_time("--request", limits.request, "Wait so long for a whole request", 1);
    command_line.add_time("--unread", limits.unread, "Close a client that reads nothing so long",
                          1);
    command_line.add_time("--close", limits.close, "Wait so long for a client to close");
    command_line.add_time("--grace", limits.grace, "At a signal, clients have so long to end");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    http_parser_set_max_header_size(static_cast<std::uint32_t>(limits.header));
    event::Base base({.backend = options.backend});
    net::Listener listener = support::listen(base, options);
    const auto handler = [&limits](event::Base& own, net::Socket socket) {
      return serve_client(own, std::move(socket), limits);
    };
    co::run(base, support::serve_until_stopped(listener, handler, {.grace = limits.grace}));
  } catch (const std::exception& error) {
    std::cerr << "http_server: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
