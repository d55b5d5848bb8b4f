// serve() and Workers: limits, ends, and what handlers throw.
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "net/networks.hpp"
#include "support/failing_new.hpp"
#include "support/forked.hpp"
#include "support/sanitizers.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class ServeTest : public EveryNetwork {
 protected:
  net::Socket client(const net::Address& to) {
    net::Socket socket = net::Socket::make(base, to.family(), SOCK_STREAM);
    static_cast<void>(socket.connect(to));
    return socket;
  }

  net::Listener listener{base, net::Address::loopback(0)};
  std::vector<net::Socket> clients;
  void connect(int count) {
    for (int i = 0; i < count; ++i) clients.push_back(client(listener.address()));
  }
};
ON_EVERY_NETWORK(ServeTest);

TEST_P(ServeTest, ServesSoManyAtOnceAndTheOthersLater) {
  int running = 0;
  int most = 0;
  int served = 0;
  std::vector<std::unique_ptr<co::Notification>> ends;
  net::ServeOptions options;
  options.most = 3;
  const auto handler = [&](net::Socket) -> Task<> {
    most = std::max(most, ++running);
    ends.push_back(std::make_unique<co::Notification>());
    co_await ends.back()->wait();
    --running;
    ++served;
  };
  co::TaskGroup server(base);
  server.spawn(net::serve(listener, handler, options));
  connect(10);
  run_until([&] { return running == 3; });
  settle();
  EXPECT_EQ(running, 3);
  run_until([&] {
    for (const auto& end : ends) end->notify_all();
    base.post([] {});
    return served == 10;
  });
  EXPECT_EQ(most, 3);
}

TEST_P(ServeTest, GivesConnectionsAGracePeriodAndThenCancelsThem) {
  int served = 0;
  std::error_code code;
  net::ServeOptions options;
  options.grace = 10s;
  const auto handler = [&](net::Socket) -> Task<> {
    try {
      const Duration nap = served++ == 0 ? Duration(5s) : Duration(60s);
      co_await co::sleep(nap);
    } catch (const std::system_error& error) {
      code = error.code();
      throw;
    }
  };
  co::TaskGroup server(base);
  server.spawn(net::serve(listener, handler, options));
  connect(2);
  run_until([&] { return served == 2; });
  server.cancel();
  settle();
  connect(1);
  settle();
  EXPECT_EQ(served, 2);  // it accepts no more
  time.advance(9s);
  settle();
  EXPECT_EQ(server.size(), 1U);
  EXPECT_FALSE(code);
  time.advance(1s);
  settle();
  EXPECT_EQ(code, std::errc::operation_canceled);
  EXPECT_EQ(server.size(), 0U);
}

TEST_P(ServeTest, EndsAtOnceIfNoConnectionIsLeft) {
  co::TaskGroup server(base);
  server.spawn(net::serve(listener, echo));
  settle();
  server.cancel();
  settle();
  EXPECT_EQ(server.size(), 0U);
}

// Those that wait for another request leave at once, and the one that is at work finishes.
TEST_P(ServeTest, TellsHandlersThatItStops) {
  int served = 0;
  int left = 0;
  int stops = 0;
  co::Notification stopping;
  net::ServeOptions options;
  options.grace = 10s;
  options.on_stop = [&] {
    ++stops;
    stopping.notify_all();
  };
  const auto handler = [&](net::Socket) -> Task<> {
    if (served++ == 0) {
      co_await co::sleep(5s);
    } else {
      co_await stopping.wait();
    }
    ++left;
  };
  co::TaskGroup server(base);
  server.spawn(net::serve(listener, handler, options));
  connect(3);
  run_until([&] { return served == 3; });
  EXPECT_EQ(stops, 0);
  server.cancel();
  settle();
  EXPECT_EQ(stops, 1);
  EXPECT_EQ(left, 2);
  EXPECT_EQ(server.size(), 1U);
  time.advance(5s);
  run_until([&] { return server.size() == 0; });
  EXPECT_EQ(left, 3);
  EXPECT_EQ(stops, 1);
}

TEST_P(ServeTest, TellsThatItStopsWhenItsListenerIsClosedAndOfWhatThatThrows) {
  int failures = 0;
  int served = 0;
  int left = 0;
  net::ServeOptions options;
  options.on_error = [&](const std::exception_ptr&) { ++failures; };
  options.on_stop = [] { throw std::runtime_error("from on_stop"); };
  const auto handler = [&](net::Socket) -> Task<> {
    ++served;
    co_await co::sleep(5s);
    ++left;
  };
  co::TaskGroup server(base, [](const std::exception_ptr&) {});
  server.spawn(net::serve(listener, handler, options));
  connect(1);
  run_until([&] { return served == 1; });
  listener.close();
  settle();
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(left, 0) << "it has its grace period";
  time.advance(5s);
  run_until([&] { return server.size() == 0; });
  EXPECT_EQ(left, 1);
}

TEST_P(ServeTest, TellsOfWhatAHandlerThrowsAndGoesOn) {
  int failures = 0;
  int served = 0;
  net::ServeOptions options;
  options.on_error = [&](const std::exception_ptr&) { ++failures; };
  const auto handler = [&](net::Socket) -> Task<> {
    if (++served % 2 == 0) throw std::runtime_error("from a handler");
    co_return;
  };
  co::TaskGroup server(base);
  server.spawn(net::serve(listener, handler, options));
  connect(6);
  run_until([&] { return served == 6; });
  settle();
  EXPECT_EQ(failures, 3);
}

TEST_P(ServeTest, TellsOfAHandlerThatClosesWhatItReadsAndOfNoneThatIsCancelled) {
  std::vector<std::error_code> errors;
  net::ServeOptions options;
  options.grace = 0s;
  options.on_error = [&](const std::exception_ptr& thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::system_error& error) {
      errors.push_back(error.code());
    }
  };
  std::vector<net::SocketStream*> streams;
  const auto handler = [&](net::Socket socket) -> Task<> {
    net::SocketStream stream(base, std::move(socket));
    streams.push_back(&stream);
    const net::Chunk none = co_await stream.receive();
  };
  co::TaskGroup server(base);
  server.spawn(net::serve(listener, handler, options));
  connect(2);
  run_until([&] { return streams.size() == 2; });
  streams.front()->close();
  settle();
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors.front(), std::errc::operation_canceled);
  server.cancel();
  run_until([&] { return server.size() == 0; });
  EXPECT_EQ(errors.size(), 1U);
}

TEST_P(ServeTest, DropsWhatAHandlerThrowsIfNobodyWantsToKnow) {
  int served = 0;
  const auto handler = [&](net::Socket) -> Task<> {
    ++served;
    throw std::runtime_error("from a handler");
    co_return;
  };
  co::TaskGroup server(base);
  server.spawn(net::serve(listener, handler));
  connect(3);
  run_until([&] { return served == 3; });
  settle();
}

TEST_P(ServeTest, EndsWithWhatIsWrongWithTheListener) {
  co::TaskGroup server(base);
  std::error_code code;
  server.spawn([&]() -> Task<> { code = co_await error_of(net::serve(listener, echo)); });
  settle();
  listener.close();
  settle();
  EXPECT_EQ(code, std::errc::operation_canceled);
}

TEST_P(ServeTest, EndsWhenTheListenerIsClosedThoughThereIsNoRoom) {
  for (const bool destroys : {false, true}) {
    auto full = std::make_unique<net::Listener>(base, net::Address::loopback(0));
    int running = 0;
    net::ServeOptions options;
    options.most = 2;
    const auto handler = [&](net::Socket) -> Task<> {
      ++running;
      co_await co::sleep(1h);
    };
    std::error_code code;
    co::TaskGroup server(base);
    server.spawn(
        [&]() -> Task<> { code = co_await error_of(net::serve(*full, handler, options)); });
    for (int i = 0; i < 3; ++i) clients.push_back(client(full->address()));
    run_until([&] { return running == 2; });
    settle();
    if (destroys) {
      full.reset();
    } else {
      static_cast<void>(full->release());
    }
    settle();
    EXPECT_EQ(server.size(), 1U) << "no grace period";
    time.advance(10s);
    settle();
    EXPECT_EQ(code, std::errc::operation_canceled);
    EXPECT_EQ(server.size(), 0U);
    EXPECT_EQ(running, 2);
  }
}

TEST_P(ServeTest, GoesOnIfOnErrorThrowsForAHandlerThatIsNoCoroutine) {
  int served = 0;
  net::ServeOptions options;
  options.on_error = [](const std::exception_ptr&) { throw std::logic_error("from on_error"); };
  const auto handler = [&](net::Socket) -> Task<> {
    ++served;
    throw std::runtime_error("from a handler");
  };
  co::TaskGroup server(base);
  server.spawn(net::serve(listener, handler, options));
  for (int i = 1; i <= 3; ++i) {
    connect(1);
    EXPECT_THROW(run_until([&] { return false; }), std::logic_error);
    EXPECT_EQ(served, i);
    EXPECT_EQ(server.size(), 1U);
  }
}

TEST_P(ServeTest, MayBeDestroyedByOnError) {
  int failures = 0;
  auto server = std::make_unique<co::TaskGroup>(base);
  net::ServeOptions options;
  options.on_error = [&](const std::exception_ptr&) {
    server.reset();
    ++failures;
  };
  int served = 0;
  const auto handler = [&](net::Socket) -> Task<> {
    const Duration nap = served++ == 0 ? Duration(1s) : Duration(1h);
    co_await co::sleep(nap);
    throw std::runtime_error("from a handler");
  };
  server->spawn(net::serve(listener, handler, options));
  connect(2);
  run_until([&] { return served == 2; });
  time.advance(1s);
  run_until([&] { return failures > 0; });
  settle();
  EXPECT_EQ(failures, 1);
}

TEST_P(ServeTest, ClosesEveryConnectionIfItsTaskIsDestroyed) {
  int destroyed = 0;
  int served = 0;
  const auto handler = [&](net::Socket socket) -> Task<> {
    const CountsDestruction counts(destroyed);
    net::SocketStream stream(base, std::move(socket));
    ++served;
    const net::Chunk none = co_await stream.receive();
  };
  {
    co::TaskGroup server(base);
    server.spawn(net::serve(listener, handler));
    connect(3);
    run_until([&] { return served == 3; });
  }
  EXPECT_EQ(destroyed, 3);
}

// Threads.

class WorkersTest : public EveryBackendCo {
 protected:
  net::Workers::Options workers_options() {
    net::Workers::Options options;
    options.base.backend = GetParam();
    return options;
  }
};

Task<std::string> ask(net::Address server) {
  Base& base = co_await co::base();
  net::Socket socket = co_await net::connect(server);
  net::SocketStream stream(base, std::move(socket));
  co_await stream.write("ping");
  co_await stream.shutdown();
  co_return co_await read_all(stream);
}

BACKEND_TEST(WorkersTest, ServeUntilTheyAreStopped) {
  Base base(real_time());
  std::atomic<int> stops = 0;
  net::Workers::Options options = workers_options();
  options.serve.on_stop = [&] { ++stops; };
  net::Workers workers(2, net::Address::loopback(0), echo, options);
  EXPECT_EQ(workers.size(), 2U);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(run_task(base, ask(workers.address())), "ping");
  EXPECT_EQ(stops, 0);
  workers.stop();
  workers.stop();
  EXPECT_EQ(stops, 2);
  const auto refused = [](net::Address address) -> Task<> {
    const net::Socket socket = co_await net::connect(address);
  };
  EXPECT_EQ(run_task(base, error_of(refused(workers.address()))), std::errc::connection_refused);
}

BACKEND_TEST(WorkersTest, CancelConnectionsThatDoNotEndInTime) {
  Base base(real_time());
  net::Workers::Options options = workers_options();
  options.serve.grace = 1ms;
  std::atomic<int> ended{0};
  std::atomic<int> begun{0};
  const auto handler = [&](Base& its_base, net::Socket socket) -> Task<> {
    net::SocketStream stream(its_base, std::move(socket));
    ++begun;
    const auto chunk = co_await stream.try_receive();
    EXPECT_EQ(chunk.error, std::errc::operation_canceled);
    ++ended;
  };
  net::Workers workers(2, net::Address::loopback(0), handler, options);
  const auto connect = [&](net::Address address) -> Task<net::Socket> {
    net::Socket socket = co_await net::connect(address);
    while (begun == 0) co_await co::sleep(1ms);
    co_return std::move(socket);
  };
  const net::Socket idle = run_task(base, connect(workers.address()));
  workers.stop();
  EXPECT_EQ(ended, 1);
}

BACKEND_TEST(WorkersTest, AreLeftToTheParentByAForkedChild) {
  if (EVENT_HAS_ASAN_OR_TSAN) GTEST_SKIP() << "a fork beside threads may hang there";
  Base base(real_time());
  auto workers =
      std::make_unique<net::Workers>(2, net::Address::loopback(0), echo, workers_options());
  EXPECT_TRUE(succeeds_in_child([&] {
    workers->stop();
    workers.reset();
  }));
  EXPECT_EQ(run_task(base, ask(workers->address())), "ping");
}

BACKEND_TEST(WorkersTest, ReportThatTheyCannotListen) {
  Base base(real_time());
  const net::Listener taken(base, net::Address::loopback(0));
  EXPECT_THROW(net::Workers(3, taken.address(), echo, workers_options()), std::system_error);
}

BACKEND_TEST(WorkersTest, StopAtOnceAfterTheyWereMade) {
  for (int i = 0; i < 5; ++i) {
    const net::Workers workers(3, net::Address::loopback(0), echo, workers_options());
  }
}

BACKEND_TEST(WorkersTest, ReportWhatEndsAThread) {
  Base base(real_time());
  net::Workers::Options options = workers_options();
  std::atomic<bool> thrown{false};
  options.serve.on_error = [&](const std::exception_ptr&) {
    thrown = true;
    throw std::runtime_error("from on_error");
  };
  const auto handler = [](net::Socket) -> Task<> {
    throw std::runtime_error("from a handler");
    co_return;
  };
  net::Workers workers(1, net::Address::loopback(0), handler, options);
  const auto connect = [&](net::Address address) -> Task<> {
    const net::Socket socket = co_await net::connect(address);
    while (!thrown) co_await co::sleep(1ms);
  };
  run_task(base, connect(workers.address()));
  EXPECT_THROW(workers.stop(), std::runtime_error);
  workers.stop();
}

// Can be copied so many times.
class RarelyCopied {
 public:
  explicit RarelyCopied(int copies) : left_(std::make_shared<std::atomic<int>>(copies)) {}
  RarelyCopied(const RarelyCopied& other) : left_(other.left_) {
    if ((*left_)-- <= 0) throw std::bad_alloc();
  }
  RarelyCopied(RarelyCopied&&) = default;
  Task<> operator()(net::Socket /*connection*/) const { co_return; }

 private:
  std::shared_ptr<std::atomic<int>> left_;
};

BACKEND_TEST(WorkersTest, ReportThatAHandlerCannotBeCopied) {
  bool failed = true;
  int copies = 0;
  for (; failed && copies < 100; ++copies) {
    try {
      const net::Workers workers(3, net::Address::loopback(0), RarelyCopied(copies),
                                 workers_options());
      failed = false;
    } catch (const std::bad_alloc&) {
    }
  }
  EXPECT_FALSE(failed);
  EXPECT_GT(copies, 3);
}

// libstdc++'s promise would end the program here.
BACKEND_TEST(WorkersTest, ReportThatThereIsNoMemoryForAThread) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  bool failed = true;
  for (std::size_t n = 0; failed && n < 100; ++n) {
    std::optional<net::Workers> workers;  // they wait for memory to be stopped
    const FailingNew failing(n);
    try {
      workers.emplace(1, net::Address::loopback(0), echo, workers_options());
    } catch (const std::bad_alloc&) {
    }
    failed = failing.failures() > 0;
  }
  EXPECT_FALSE(failed);
}

BACKEND_TEST(WorkersTest, ReportThatThereIsNoDescriptorForAConnection) {
  Base base(real_time());
  net::Workers::Options options = workers_options();
  std::atomic<int> error{0};
  options.serve.on_error = [&](const std::exception_ptr& thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::system_error& of_system) {
      error = of_system.code().value();
    }
  };
  const net::Workers workers(1, net::Address::loopback(0), echo, options);
  net::Socket client = net::Socket::make(base, AF_INET, SOCK_STREAM);
  const auto wait = [&]() -> Task<> {
    while (error == 0) co_await co::sleep(1ms);
  };
  {
    const NoDescriptors none;
    static_cast<void>(client.connect(workers.address()));
    run_task(base, wait());
  }
  EXPECT_EQ(error, EMFILE);
  EXPECT_EQ(run_task(base, ask(workers.address())), "ping");
}

}  // namespace
}  // namespace event_cpp::test
