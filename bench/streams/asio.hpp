// Asio: coroutines, which wait with a buffer of 4 KiB or with none, and callbacks.
#pragma once

#include <asio.hpp>
#include <map>
#include <string_view>
#include <system_error>

#include "streams/asio_work.hpp"
#include "support/listen.hpp"

namespace bench {

using asio::ip::tcp;

inline asio::awaitable<void> echo_without_buffer(tcp::socket socket) {
  socket.non_blocking(true);
  try {
    for (;;) {
      co_await socket.async_wait(tcp::socket::wait_read, asio::use_awaitable);
      std::error_code error;
      const std::size_t size = socket.read_some(asio::buffer(message()), error);
      if (error == asio::error::would_block) continue;
      if (error) co_return;
      co_await asio::async_write(socket, asio::buffer(message(), size), asio::use_awaitable);
    }
  } catch (const std::system_error&) {
  }
}

class Connection {
 public:
  explicit Connection(tcp::socket socket) : socket_(std::move(socket)) {
    socket_.non_blocking(true);
    wait();
  }

 private:
  void wait() {
    socket_.async_wait(tcp::socket::wait_read, [this](std::error_code failed) {
      std::error_code error = failed;
      std::size_t size = 0;
      if (!error) size = socket_.read_some(asio::buffer(message()), error);
      if (error && error != asio::error::would_block) return delete this;
      if (size > 0) socket_.write_some(asio::buffer(message(), size), error);
      wait();
    });
  }

  tcp::socket socket_;
};

template <class Start>
void accept(tcp::acceptor& acceptor, Start start) {
  acceptor.async_accept([&acceptor, start](std::error_code error, tcp::socket socket) {
    if (!error) {
      socket.set_option(tcp::no_delay(true));
      start(std::move(socket));
    }
    accept(acceptor, start);
  });
}

template <class Start>
void serve(int listening, Start start) {
  asio::io_context context(1);
  tcp::acceptor acceptor(context, tcp::v4(), listening);
  accept(acceptor, start);
  context.run();
}

template <asio::awaitable<void> (*kHandler)(tcp::socket)>
void serve_by_coroutine(int listening) {
  serve(listening, [](tcp::socket socket) {
    const auto executor = socket.get_executor();
    asio::co_spawn(executor, kHandler(std::move(socket)), asio::detached);
  });
}

inline void serve_by_callbacks(int listening) {
  serve(listening, [](tcp::socket socket) { new Connection(std::move(socket)); });
}

inline std::map<std::string_view, void (*)(int)> servers() {
  return {{"echo", &serve_by_coroutine<&echo<tcp::socket>>},
          {"echo-bufferless", &serve_by_coroutine<&echo_without_buffer>},
          {"echo-callbacks", &serve_by_callbacks},
          {"download", &serve_by_coroutine<&download<tcp::socket>>},
          {"upload", &serve_by_coroutine<&upload<tcp::socket>>}};
}

}  // namespace bench
