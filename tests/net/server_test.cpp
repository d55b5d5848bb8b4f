// A server and its clients, over sockets of this machine.
#include "net/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class ServerTest : public EveryBackendCo {};

Task<int> ask_lines(net::Address server, int lines) {
  Base& base = co_await co::base();
  net::Socket socket = co_await net::connect(server);
  net::SocketStream stream(base, std::move(socket));
  net::Buffered io(stream);
  int right = 0;
  for (int i = 0; i < lines; ++i) {
    const std::string question = "line " + std::to_string(i);
    io.put(question + "\n");
    const auto answer = co_await io.read_line();
    if (answer && *answer == question) ++right;
  }
  co_await stream.shutdown();
  const auto rest = co_await io.read_line();
  EXPECT_FALSE(rest.has_value());
  co_return right;
}

BACKEND_TEST(ServerTest, AnswersManyClientsAtOnce) {
  Base base(real_time());
  const auto serves = [](Base& its_base) -> Task<int> {
    net::Listener listener(its_base, net::Address::loopback(0));
    const net::Address address = listener.address();
    co::TaskGroup server(its_base);
    server.spawn(net::serve(listener, echo));
    int right = 0;
    co::TaskGroup clients(its_base);
    for (int i = 0; i < 20; ++i) {
      clients.spawn([address, &right]() -> Task<> {
        const int mine = co_await ask_lines(address, 10);
        right += mine;
      });
    }
    co_await clients.join();
    server.cancel();
    co_await server.join();
    co_return right;
  };
  EXPECT_EQ(run_task(base, serves(base)), 200);
  EXPECT_EQ(base.size(), 0U);
}

Task<std::size_t> exchange(net::Address server, std::string data) {
  Base& base = co_await co::base();
  net::Socket socket = co_await net::connect(server);
  net::SocketStream stream(base, std::move(socket));
  co::TaskGroup sending(base);
  sending.spawn([&stream, &data]() -> Task<> {
    co_await stream.write(data);
    co_await stream.shutdown();
  });
  const std::string all = co_await read_all(stream);
  co_await sending.join();
  co_return all == data ? all.size() : 0;
}

BACKEND_TEST(ServerTest, AnswersThroughAProxyInBothDirections) {
  Base base(real_time());
  const auto proxies = [](Base& its_base) -> Task<std::size_t> {
    net::Listener listener(its_base, net::Address::loopback(0));
    net::Listener front(its_base, net::Address::loopback(0));
    const net::Address back = listener.address();
    co::TaskGroup servers(its_base);
    servers.spawn(net::serve(listener, echo));
    const auto forward = [back](Base& proxy_base, net::Socket client) -> Task<> {
      net::SocketStream a(proxy_base, std::move(client));
      net::Socket server = co_await net::connect(back);
      net::SocketStream b(proxy_base, std::move(server));
      co_await co::when_all(net::copy(a, b), net::copy(b, a));
    };
    servers.spawn(net::serve(front, forward));
    const std::size_t size = co_await exchange(front.address(), std::string(4 << 20, 'x'));
    servers.cancel();
    co_await servers.join();
    co_return size;
  };
  EXPECT_EQ(run_task(base, proxies(base)), std::size_t{4} << 20);
}

BACKEND_TEST(ServerTest, RunsOnSeveralThreads) {
  Base base(real_time());
  net::Workers::Options options;
  options.base.backend = GetParam();
  net::Workers workers(3, net::Address::loopback(0), echo, options);
  EXPECT_EQ(run_task(base, ask_lines(workers.address(), 10)), 10);
  workers.stop();
}

}  // namespace
}  // namespace event_cpp::test
