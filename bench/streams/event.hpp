// This library: coroutines, and callbacks.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "event/event.hpp"
#include "event/net.hpp"
#include "support/listen.hpp"

namespace bench {

namespace co = event::co;
namespace net = event::net;

inline co::Task<> echo(event::Base& base, net::Socket socket) {
  net::SocketStream stream(base, std::move(socket));
  for (;;) {
    net::Chunk chunk = co_await stream.receive();
    if (!chunk) break;
    co_await stream.write(chunk);
  }
}

// Written against any kind of stream: its calls are virtual.
inline co::Task<> echo_virtual(event::Base& base, net::Socket socket) {
  net::SocketStream own(base, std::move(socket));
  net::Stream& stream = own;
  for (;;) {
    net::Chunk chunk = co_await stream.receive();
    if (!chunk) break;
    co_await stream.write(chunk);
  }
}

inline co::Task<> echo_idle_timeout(event::Base& base, net::Socket socket) {
  net::SocketStream stream(base, std::move(socket));
  stream.idle_timeout(std::chrono::seconds(60));
  for (;;) {
    net::Chunk chunk = co_await stream.receive();
    if (!chunk) break;
    co_await stream.write(chunk);
  }
}

inline co::Task<> lines(event::Base& base, net::Socket socket) {
  net::SocketStream stream(base, std::move(socket));
  net::Buffered buffered(stream);
  for (;;) {
    const std::optional<std::string_view> line = co_await buffered.read_line();
    if (!line) break;
    buffered.put(net::Bytes(*line));
    buffered.put(net::Bytes("\n", 1));
  }
}

inline co::Task<> lines_apart(event::Base& base, net::Socket socket) {
  net::SocketStream stream(base, std::move(socket));
  net::Buffered buffered(stream);
  for (;;) {
    const std::optional<std::string_view> line = co_await buffered.read_line();
    if (!line) break;
    buffered.put(net::Bytes(*line));
    buffered.put(net::Bytes("\n", 1));
    co_await buffered.flush();
  }
}

inline co::Task<> download(event::Base& base, net::Socket socket) {
  net::SocketStream stream(base, std::move(socket));
  for (;;) {
    net::Chunk chunk = co_await stream.receive();
    if (!chunk) break;
    co_await stream.write(net::Bytes(bulk));
  }
}

inline co::Task<> upload(event::Base& base, net::Socket socket) {
  static const std::array<char, kMessage> message{};
  net::SocketStream stream(base, std::move(socket));
  std::size_t got = 0;
  for (;;) {
    net::Chunk chunk = co_await stream.receive();
    if (!chunk) break;
    got += chunk.size();
    if (got < kBulk) continue;
    got -= kBulk;
    co_await stream.write(net::Bytes(message));
  }
}

template <co::Task<> (*kHandler)(event::Base&, net::Socket)>
void serve(int listening) {
  event::Base base;
  net::Listener listener(base, net::Socket(listening));
  co::run(base, net::serve(listener, kHandler));
}

// The same without serve(), which ends well and has a limit of connections.
inline void serve_by_group(int listening) {
  event::Base base;
  net::Listener listener(base, net::Socket(listening));
  co::TaskGroup group(base, [](const std::exception_ptr&) {});
  listener.on_accept([&](net::Socket socket) { group.spawn(echo(base, std::move(socket))); });
  base.dispatch();
}

// By callbacks, of the loop itself ...
class EchoConnection final : public net::Waiter {
 public:
  EchoConnection(event::Base& base, net::Socket socket) : stream_(base, std::move(socket)) {
    stream_.wait(net::Want::read, *this);
  }

  void ready() override {
    static std::array<char, net::detail::kBufferSize> message;
    const net::Io size = stream_.try_read(message);
    if (size == 0 || (size < 0 && size != net::kWouldBlock)) return delete this;
    if (size > 0 &&
        stream_.try_write(net::Bytes(message.data(), static_cast<std::size_t>(size))) != size) {
      return delete this;
    }
    stream_.wait(net::Want::read, *this);
  }

 private:
  net::SocketStream stream_;
};

// ... and of std::function.
inline void echo_once(net::SocketStream& stream) {
  static std::array<char, net::detail::kBufferSize> message;
  const net::Io size = stream.try_read(message);
  if (size == net::kWouldBlock) return;
  if (size <= 0 ||
      stream.try_write(net::Bytes(message.data(), static_cast<std::size_t>(size))) != size) {
    delete &stream;
  }
}

inline void serve_by_waiter(int listening) {
  event::Base base;
  net::Listener listener(base, net::Socket(listening));
  listener.on_accept([&](net::Socket socket) { new EchoConnection(base, std::move(socket)); });
  base.dispatch();
}

inline void serve_by_function(int listening) {
  event::Base base;
  net::Listener listener(base, net::Socket(listening));
  listener.on_accept([&](net::Socket socket) {
    auto* const stream = new net::SocketStream(base, std::move(socket));
    stream->on_readable([stream] { echo_once(*stream); });
  });
  base.dispatch();
}

inline std::map<std::string_view, void (*)(int)> servers() {
  return {{"echo", &serve<&echo>},
          {"echo-virtual", &serve<&echo_virtual>},
          {"echo-idle-timeout", &serve<&echo_idle_timeout>},
          {"echo-group", &serve_by_group},
          {"echo-waiter", &serve_by_waiter},
          {"echo-callbacks", &serve_by_function},
          {"lines", &serve<&lines>},
          {"lines-apart", &serve<&lines_apart>},
          {"download", &serve<&download>},
          {"upload", &serve<&upload>}};
}

}  // namespace bench
