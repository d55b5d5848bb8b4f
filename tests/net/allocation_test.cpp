// What becomes of networking when memory runs out: an error, and nothing is lost or left behind.

#include <new>

#include "net/support.hpp"
#include "support/failing_new.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class NetAllocationTest : public EveryBackendCo {};

Task<> ask_one_question(net::Address server) {
  Base& base = co_await co::base();
  net::Socket socket = co_await net::connect(server);
  net::SocketStream stream(base, std::move(socket));
  net::Buffered io(stream);
  io.put("question\n");
  const auto answer = co_await io.read_line();
  EXPECT_TRUE(!answer || *answer == "question");
}

Task<> serve_and_ask(Base& base) {
  net::Listener listener(base, net::Address::loopback(0));
  co::TaskGroup server(base);
  net::ServeOptions options;
  options.grace = Duration::zero();
  server.spawn(net::serve(listener, echo, options));
  co_await co::with_timeout(50ms, ask_one_question(listener.address()));
  server.cancel();
  co_await server.join();
}

BACKEND_TEST(NetAllocationTest, ThatFailsIsAnErrorAndLeavesNothingBehind) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  bool failed = true;
  std::size_t n = 0;
  for (; failed && n < 500; ++n) {
    Base base(real_time());
    const Bounded bounded(base);
    const auto before = open_descriptors();
    {
      const FailingNew failing(n);
      try {
        co::run(base, serve_and_ask(base));
      } catch (const std::bad_alloc&) {
      } catch (const std::system_error&) {
      }
      failed = failing.failures() > 0;
    }
    EXPECT_EQ(open_descriptors(), before) << n;
  }
  EXPECT_FALSE(failed);
  EXPECT_GT(n, 3U);
}

BACKEND_TEST(NetAllocationTest, ThatFailsEndsAConnectionAndNotTheServer) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  // More than what is kept for reuse, so that a connection's task needs memory.
  Base base(real_time());
  int failures = 0;
  int served = 0;
  net::ServeOptions options;
  options.on_error = [&](const std::exception_ptr&) { ++failures; };
  const auto handler = [&](net::Socket) -> Task<> {
    ++served;
    co_await co::sleep(1h);
  };
  net::Listener listener(base, net::Address::loopback(0));
  co::TaskGroup server(base);
  server.spawn(net::serve(listener, handler, options));
  base.loop(RunMode::nonblock);
  std::vector<net::Socket> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(net::Socket::make(base, AF_INET, SOCK_STREAM));
    static_cast<void>(clients.back().connect(listener.address()));
  }
  {
    const FailingNew failing;
    for (int i = 0; i < 100; ++i) {
      try {
        base.loop(RunMode::nonblock);
      } catch (const std::bad_alloc&) {
      }
    }
  }
  const Bounded bounded(base);
  while (served + failures < 100) base.loop(RunMode::once);
  EXPECT_GT(failures, 0);
  EXPECT_EQ(server.size(), 1U);
}

}  // namespace
}  // namespace event_cpp::test
