// What the tests of networking share.
#pragma once

#include <string>

#include "co/support.hpp"
#include "event/net.hpp"

namespace event_cpp::test {

// Sends back what it receives.
inline co::Task<> echo(Base& base, net::Socket socket) {
  net::SocketStream stream(base, std::move(socket));
  for (;;) {
    const net::Chunk chunk = co_await stream.receive();
    if (!chunk) break;
    co_await stream.write(chunk.bytes());
  }
}

// Reads to the end.
inline co::Task<std::string> read_all(net::Stream& stream) {
  std::string all;
  for (;;) {
    const net::Chunk chunk = co_await stream.receive();
    if (!chunk) break;
    all += chunk.text();
  }
  co_return all;
}

}  // namespace event_cpp::test
