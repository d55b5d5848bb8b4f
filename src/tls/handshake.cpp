#include "tls/handshake.hpp"

#include <utility>

namespace event_cpp::tls::detail {

co::Task<Stream> shake_hands(std::unique_ptr<Connection> connection) {
  Connection& inner = *connection;
  Stream stream = Connection::to_stream(std::move(connection));
  for (;;) {
    const net::Io io = inner.handshake();
    if (io == 0) break;
    if (io != net::kWouldBlock) {
      inner.refuse();
      throw inner.error(io);
    }
    if (inner.wanted() == net::Want::read) {
      co_await stream.readable();
    } else {
      co_await stream.writable();
    }
  }
  if (inner.verify_again()) co_return stream;
  inner.refuse();
  throw inner.error(inner.failure());
}

}  // namespace event_cpp::tls::detail
