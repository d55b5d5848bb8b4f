// Asio: coroutines over ssl::stream.
#pragma once

#include <asio.hpp>
#include <asio/ssl.hpp>
#include <map>
#include <string_view>
#include <system_error>

#include "streams/asio_work.hpp"
#include "support/listen.hpp"
#include "support/tls_context.hpp"

namespace bench {

using asio::ip::tcp;
using Stream = asio::ssl::stream<tcp::socket>;

inline asio::ssl::context& context() {
  static asio::ssl::context instance(asio::ssl::context::tls_server);
  return instance;
}

template <asio::awaitable<void> (*kHandler)(Stream&)>
asio::awaitable<void> serve_one(tcp::socket socket) {
  Stream stream(std::move(socket), context());
  try {
    co_await stream.async_handshake(Stream::server, asio::use_awaitable);
    co_await kHandler(stream);
  } catch (const std::system_error&) {
  }
  try {
    co_await stream.async_shutdown(asio::use_awaitable);
  } catch (const std::system_error&) {
  }
}

template <asio::awaitable<void> (*kHandler)(Stream&)>
void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](std::error_code error, tcp::socket socket) {
    if (!error) {
      socket.set_option(tcp::no_delay(true));
      const auto executor = socket.get_executor();
      asio::co_spawn(executor, serve_one<kHandler>(std::move(socket)), asio::detached);
    }
    accept<kHandler>(acceptor);
  });
}

template <asio::awaitable<void> (*kHandler)(Stream&)>
void serve(int listening) {
  set_up(context().native_handle());
  asio::io_context io(1);
  tcp::acceptor acceptor(io, tcp::v4(), listening);
  accept<kHandler>(acceptor);
  io.run();
}

inline std::map<std::string_view, void (*)(int)> servers() {
  return {{"echo", &serve<&echo<Stream&>>},
          {"download", &serve<&download<Stream&>>},
          {"upload", &serve<&upload<Stream&>>}};
}

}  // namespace bench
