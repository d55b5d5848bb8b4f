// This library: tls::serve(), a task for each connection.
#pragma once

#include <array>
#include <map>
#include <string_view>

#include "event/event.hpp"
#include "event/tls.hpp"
#include "support/listen.hpp"
#include "support/tls_context.hpp"

namespace bench {

namespace co = event::co;
namespace net = event::net;
namespace tls = event::tls;

inline co::Task<> echo(event::Base&, tls::Stream& stream) {
  for (;;) {
    net::Chunk chunk = co_await stream.receive();
    if (!chunk) break;
    co_await stream.write(chunk);
  }
}

inline co::Task<> download(event::Base&, tls::Stream& stream) {
  for (;;) {
    net::Chunk chunk = co_await stream.receive();
    if (!chunk) break;
    co_await stream.write(net::Bytes(bulk));
  }
}

inline co::Task<> upload(event::Base&, tls::Stream& stream) {
  static const std::array<char, kMessage> message{};
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

template <co::Task<> (*kHandler)(event::Base&, tls::Stream&)>
void serve(int listening) {
  tls::ServerOptions options;
  options.names.push_back({{}, certificate()});
  tls::Server server(tls::Context::server(options));
  event::Base base;
  net::Listener listener(base, net::Socket(listening));
  co::run(base, tls::serve(listener, server, kHandler));
}

inline std::map<std::string_view, void (*)(int)> servers() {
  return {{"echo", &serve<&echo>}, {"download", &serve<&download>}, {"upload", &serve<&upload>}};
}

}  // namespace bench
