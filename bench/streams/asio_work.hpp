// What Asio's servers do with a stream, by coroutines, until its end. Stream is what carries the
// bytes, or a reference to it.
#pragma once

#include <array>
#include <asio.hpp>
#include <system_error>

#include "support/listen.hpp"

namespace bench {

inline std::array<char, 64 * 1024>& message() {
  static std::array<char, 64 * 1024> shared;
  return shared;
}

template <class Stream>
asio::awaitable<void> echo(Stream stream) {
  std::array<char, 4096> own;
  try {
    for (;;) {
      const std::size_t size =
          co_await stream.async_read_some(asio::buffer(own), asio::use_awaitable);
      co_await asio::async_write(stream, asio::buffer(own, size), asio::use_awaitable);
    }
  } catch (const std::system_error&) {
  }
}

template <class Stream>
asio::awaitable<void> download(Stream stream) {
  try {
    for (;;) {
      co_await stream.async_read_some(asio::buffer(message()), asio::use_awaitable);
      co_await asio::async_write(stream, asio::buffer(bulk), asio::use_awaitable);
    }
  } catch (const std::system_error&) {
  }
}

template <class Stream>
asio::awaitable<void> upload(Stream stream) {
  std::size_t got = 0;
  try {
    for (;;) {
      got += co_await stream.async_read_some(asio::buffer(message()), asio::use_awaitable);
      if (got < kBulk) continue;
      got -= kBulk;
      co_await asio::async_write(stream, asio::buffer(message(), kMessage), asio::use_awaitable);
    }
  } catch (const std::system_error&) {
  }
}

}  // namespace bench
