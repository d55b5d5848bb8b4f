// Asio: coroutines over ssl::stream.
#pragma once

#include <array>
#include <asio.hpp>
#include <asio/ssl.hpp>
#include <map>
#include <string_view>
#include <system_error>

#include "support/listen.hpp"
#include "support/tls_context.hpp"

namespace bench {

using asio::ip::tcp;
using Stream = asio::ssl::stream<tcp::socket>;

inline std::array<char, 64 * 1024>& message() {
  static std::array<char, 64 * 1024> shared;
  return shared;
}

inline asio::awaitable<void> echo(Stream& stream) {
  std::array<char, 4096> own;
  for (;;) {
    const std::size_t size =
        co_await stream.async_read_some(asio::buffer(own), asio::use_awaitable);
    co_await asio::async_write(stream, asio::buffer(own, size), asio::use_awaitable);
  }
}

inline asio::awaitable<void> download(Stream& stream) {
  static const std::array<char, kBulk> bulk{};
  for (;;) {
    co_await stream.async_read_some(asio::buffer(message()), asio::use_awaitable);
    co_await asio::async_write(stream, asio::buffer(bulk), asio::use_awaitable);
  }
}

inline asio::awaitable<void> upload(Stream& stream) {
  std::size_t got = 0;
  for (;;) {
    got += co_await stream.async_read_some(asio::buffer(message()), asio::use_awaitable);
    if (got < kBulk) continue;
    got -= kBulk;
    co_await asio::async_write(stream, asio::buffer(message(), kMessage), asio::use_awaitable);
  }
}

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
  return {{"echo", &serve<&echo>}, {"download", &serve<&download>}, {"upload", &serve<&upload>}};
}

}  // namespace bench
