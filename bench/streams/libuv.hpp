// libuv's uv_tcp_t: uv_read_start(), uv_try_write(), and uv_write() for what does not go at once.
#pragma once

#include <uv.h>

#include <array>
#include <csignal>
#include <map>
#include <string_view>
#include <vector>

#include "support/listen.hpp"

namespace bench {

inline void close(uv_stream_t* connection) {
  uv_close(reinterpret_cast<uv_handle_t*>(connection),
           [](uv_handle_t* closed) { delete reinterpret_cast<uv_tcp_t*>(closed); });
}

// One buffer for all connections: on Unix, libuv reads right after it has asked for the buffer, and
// hands what it has read over before it asks again. So a connection that waits holds no memory.
inline void lend_buffer(uv_handle_t* /*connection*/, std::size_t /*size*/, uv_buf_t* buffer) {
  static std::array<char, 64 * 1024> message;
  *buffer = uv_buf_init(message.data(), message.size());
}

// What is left of a message, until it is sent. Nothing is read meanwhile.
struct Rest {
  uv_write_t request;
  std::vector<char> copy;  // empty: the bytes stay where they are
};

enum class Keep { borrow, copy };

template <uv_read_cb kAnswer>
void send(uv_stream_t* connection, const char* bytes, std::size_t size, Keep keep) {
  uv_buf_t buffer = uv_buf_init(const_cast<char*>(bytes), static_cast<unsigned>(size));
  const int sent = uv_try_write(connection, &buffer, 1);
  if (sent == static_cast<int>(size)) return;
  if (sent < 0 && sent != UV_EAGAIN) return close(connection);
  const std::size_t done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  auto* const rest = new Rest{};
  rest->request.data = rest;
  buffer = uv_buf_init(buffer.base + done, static_cast<unsigned>(size - done));
  if (keep == Keep::copy) {
    rest->copy.assign(buffer.base, buffer.base + buffer.len);
    buffer.base = rest->copy.data();
  }
  uv_read_stop(connection);
  uv_write(&rest->request, connection, &buffer, 1, [](uv_write_t* request, int error) {
    uv_stream_t* const written = request->handle;
    delete static_cast<Rest*>(request->data);
    if (error == UV_ECANCELED) return;  // by close()
    if (error < 0) return close(written);
    uv_read_start(written, &lend_buffer, kAnswer);
  });
}

inline void echo(uv_stream_t* connection, ssize_t size, const uv_buf_t* message) {
  if (size < 0) return close(connection);
  send<&echo>(connection, message->base, static_cast<std::size_t>(size), Keep::copy);
}

inline void download(uv_stream_t* connection, ssize_t size, const uv_buf_t* /*message*/) {
  if (size < 0) return close(connection);
  if (size > 0) send<&download>(connection, bulk.data(), bulk.size(), Keep::borrow);
}

inline void upload(uv_stream_t* connection, ssize_t size, const uv_buf_t* /*message*/) {
  static const std::array<char, kMessage> answer{};
  static std::size_t got = 0;  // of the one connection
  if (size < 0) return close(connection);
  got += static_cast<std::size_t>(size);
  if (got < kBulk) return;
  got -= kBulk;
  send<&upload>(connection, answer.data(), answer.size(), Keep::borrow);
}

template <uv_read_cb kAnswer>
void accept(uv_stream_t* listener, int error) {
  if (error < 0) return;
  auto* const tcp = new uv_tcp_t;
  auto* const connection = reinterpret_cast<uv_stream_t*>(tcp);
  uv_tcp_init(listener->loop, tcp);
  if (uv_accept(listener, connection) < 0) return close(connection);
  uv_tcp_nodelay(tcp, 1);
  uv_read_start(connection, &lend_buffer, kAnswer);
}

template <uv_read_cb kAnswer>
void serve(int listening) {
  std::signal(SIGPIPE, SIG_IGN);  // uv_try_write() raises it
  uv_tcp_t listener;
  uv_tcp_init(uv_default_loop(), &listener);
  uv_tcp_open(&listener, listening);
  uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, &accept<kAnswer>);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

inline std::map<std::string_view, void (*)(int)> servers() {
  return {{"echo", &serve<&echo>}, {"download", &serve<&download>}, {"upload", &serve<&upload>}};
}

}  // namespace bench
