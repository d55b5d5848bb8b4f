// Shakes hands with itself in memory. Exit status 0 if it works.
#include <cstdio>
#include <event/tls.hpp>
#include <event/tls/test.hpp>
#include <memory>
#include <string>
#include <utility>

namespace {

namespace co = event::co;
namespace net = event::net;
namespace tls = event::tls;

co::Task<> serve(std::unique_ptr<net::Stream> below, const tls::Server& server) {
  tls::Stream stream = co_await tls::accept(std::move(below), server);
  co_await stream.write("works\n");
  co_await stream.close();
}

co::Task<> ask(std::unique_ptr<net::Stream> below, const tls::Context& context,
               std::string& answer) {
  tls::Stream stream = co_await tls::client(std::move(below), context, "localhost");
  const net::Chunk chunk = co_await stream.receive();
  answer = chunk.text();
  co_await stream.close();
}

}  // namespace

int main() {
  event::Base base;
  const tls::test::Authority authority;
  tls::ServerOptions options;
  options.names.push_back({{}, authority.issue({"localhost"})});
  const tls::Server server(tls::Context::server(options));
  auto sockets = net::Socket::pair();
  auto first = std::make_unique<net::SocketStream>(base, std::move(sockets.first));
  auto second = std::make_unique<net::SocketStream>(base, std::move(sockets.second));
  std::string answer;
  co::TaskGroup tasks(base);
  tasks.spawn(serve(std::move(first), server));
  tasks.spawn(ask(std::move(second), authority.trusting(), answer));
  base.dispatch();
  std::printf("%s", answer.c_str());
  return answer == "works\n" ? 0 : 1;
}
