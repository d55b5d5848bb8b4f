// connect() and resolve(): one address, several of them, and names.
#include <netdb.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>

#include "net/networks.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

struct Attempt {
  net::Socket socket;
  std::error_code error;
  bool done = false;
};

Task<> connect_to(std::vector<net::Address> addresses, Attempt& outcome) {
  try {
    net::Socket socket = co_await net::connect_to_any(std::move(addresses));
    outcome.socket = std::move(socket);
  } catch (const std::system_error& error) {
    outcome.error = error.code();
  }
  outcome.done = true;
}

Task<> connect_once(net::Address address) {
  const net::Socket socket = co_await net::connect(address);
}

Task<> connect_by_name(std::string host, int port, Duration limit, Attempt& outcome) {
  try {
    net::Socket socket = co_await net::connect(std::move(host), port, limit);
    outcome.socket = std::move(socket);
  } catch (const std::system_error& error) {
    outcome.error = error.code();
  }
  outcome.done = true;
}

class ConnectTest : public EveryNetwork {
 protected:
  // An address on which nobody listens.
  net::Address refusing() {
    const net::Listener listener(base, net::Address::loopback(0));
    return listener.address();
  }
};
ON_EVERY_NETWORK(ConnectTest);

TEST_P(ConnectTest, ConnectsToWhoListens) {
  net::Listener listener(base, net::Address::loopback(0));
  const auto connect = [](net::Address address) -> Task<net::Address> {
    const net::Socket socket = co_await net::connect(address);
    co_return socket.peer();
  };
  EXPECT_EQ(run(connect(listener.address())), listener.address());
}

TEST_P(ConnectTest, IsRefusedWhereNobodyListens) {
  const net::Address address = refusing();
  EXPECT_EQ(run(error_of(connect_once(address))), std::errc::connection_refused);
}

TEST_P(ConnectTest, TriesTheNextAddressAsSoonAsOneFails) {
  net::Listener listener(base, net::Address::loopback(0));
  const net::Address bad = refusing();
  Attempt outcome;
  co::TaskGroup tasks(base);
  const std::vector<net::Address> addresses{bad, bad, listener.address()};
  tasks.spawn([&] { return connect_to(addresses, outcome); });
  run_until([&] { return outcome.done; });
  EXPECT_EQ(outcome.socket.peer(), listener.address());
}

TEST_P(ConnectTest, GivesTheLastErrorIfNoAddressAnswers) {
  const net::Address bad = refusing();
  Attempt outcome;
  co::TaskGroup tasks(base);
  const std::vector<net::Address> addresses{bad, bad};
  tasks.spawn([&] { return connect_to(addresses, outcome); });
  run_until([&] { return outcome.done; });
  EXPECT_EQ(outcome.error, std::errc::connection_refused);
}

TEST_P(ConnectTest, RefusesToTryNoAddress) {
  Attempt outcome;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return connect_to({}, outcome); });
  EXPECT_EQ(outcome.error, std::errc::invalid_argument);
}

TEST_P(ConnectTest, LeavesNoDescriptorOfThoseThatFailed) {
  net::Listener listener(base, net::Address::loopback(0));
  const net::Address bad = refusing();
  settle();
  const auto before = open_descriptors();
  const std::size_t toys_before = kernel.open();
  {
    Attempt outcome;
    co::TaskGroup tasks(base);
    const std::vector<net::Address> addresses{bad, listener.address(), bad, listener.address()};
    tasks.spawn([&] { return connect_to(addresses, outcome); });
    run_until([&] { return outcome.done; });
    EXPECT_TRUE(outcome.socket);
  }
  settle();
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_LE(kernel.open(), toys_before + 1);  // what nobody has accepted
}

// A network whose addresses can be silent.
class HappyEyeballsTest : public testing::Test, protected FrozenBase {
 protected:
  HappyEyeballsTest() { net::set_kernel(base, &kernel); }
  net::Address silent(int port) {
    const net::Address address = net::Address::loopback(port);
    kernel.silent.insert(address);
    return address;
  }
};

TEST_F(HappyEyeballsTest, BeginsANewAttemptEach250Milliseconds) {
  const net::Listener listener(base, net::Address::loopback(0));
  const std::size_t before = kernel.open();
  Attempt outcome;
  co::TaskGroup tasks(base);
  const std::vector<net::Address> addresses{silent(1), silent(2), listener.address()};
  tasks.spawn([&] { return connect_to(addresses, outcome); });
  settle();
  EXPECT_EQ(kernel.open(), before + 1);
  time.advance(249ms);
  settle();
  EXPECT_EQ(kernel.open(), before + 1);
  time.advance(1ms);
  settle();
  EXPECT_EQ(kernel.open(), before + 2);
  EXPECT_FALSE(outcome.done);
  time.advance(250ms);
  settle();
  EXPECT_TRUE(outcome.done);
  EXPECT_EQ(outcome.socket.peer(), listener.address());
}

TEST_F(HappyEyeballsTest, ClosesTheLosers) {
  const net::Listener listener(base, net::Address::loopback(0));
  Attempt outcome;
  co::TaskGroup tasks(base);
  const std::size_t before = kernel.open();
  const std::vector<net::Address> addresses{silent(1), silent(2), listener.address()};
  tasks.spawn([&] { return connect_to(addresses, outcome); });
  for (int i = 0; i < 3; ++i) {
    settle();
    time.advance(250ms);
  }
  settle();
  ASSERT_TRUE(outcome.done);
  EXPECT_EQ(kernel.open(), before + 2);  // both ends of the winner
}

TEST_F(HappyEyeballsTest, ClosesEveryAttemptIfItIsCancelled) {
  Attempt outcome;
  const std::size_t before = kernel.open();
  co::TaskGroup tasks(base);
  const std::vector<net::Address> addresses{silent(1), silent(2)};
  tasks.spawn([&] { return connect_to(addresses, outcome); });
  settle();
  time.advance(250ms);
  settle();
  EXPECT_EQ(kernel.open(), before + 2);
  tasks.cancel();
  settle();
  EXPECT_EQ(outcome.error, std::errc::operation_canceled);
  EXPECT_EQ(kernel.open(), before);
}

TEST_F(HappyEyeballsTest, ClosesEveryAttemptIfItIsDestroyed) {
  Attempt outcome;
  const std::size_t before = kernel.open();
  {
    co::TaskGroup tasks(base);
    const std::vector<net::Address> addresses{silent(1), silent(2)};
    tasks.spawn([&] { return connect_to(addresses, outcome); });
    settle();
    time.advance(250ms);
    settle();
  }
  EXPECT_EQ(kernel.open(), before);
}

TEST_F(HappyEyeballsTest, EndsAtItsLimitNamesIncluded) {
  net::set_resolver(base, [this](std::string, int) -> Task<std::vector<net::Address>> {
    co_await co::sleep(4s);
    co_return std::vector<net::Address>{silent(1)};
  });
  Attempt outcome;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return connect_by_name("a.name", 80, 10s, outcome); });
  for (int i = 0; i < 9; ++i) {
    settle();
    time.advance(1s);
  }
  settle();
  EXPECT_FALSE(outcome.done);
  time.advance(1s);
  settle();
  EXPECT_TRUE(outcome.done);
  EXPECT_EQ(outcome.error, std::errc::timed_out);
  EXPECT_EQ(kernel.open(), 0U);
}

TEST_F(HappyEyeballsTest, TriesBothFamiliesInTurns) {
  const net::Listener listener(base, net::Address::loopback(80));
  net::set_resolver(base, [this](std::string, int) -> Task<std::vector<net::Address>> {
    std::vector<net::Address> all;
    for (int port = 1; port <= 3; ++port) all.push_back(net::Address::loopback_ipv6(port));
    for (const auto& address : all) kernel.silent.insert(address);
    all.push_back(net::Address::loopback(80));
    co_return std::move(all);
  });
  Attempt outcome;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return connect_by_name("a.name", 80, 10s, outcome); });
  settle();
  time.advance(250ms);
  settle();
  EXPECT_TRUE(outcome.done);
  EXPECT_TRUE(outcome.socket);
}

TEST_F(HappyEyeballsTest, TakesAConnectionToItselfForARefusedOne) {
  kernel.connects_to_itself = true;
  for (const char* const address :
       {"127.0.0.1:7", "0.0.0.0:7", "192.0.2.1:7", "[::]:7", "[::1]:7", "[::ffff:127.0.0.1]:7"}) {
    Attempt outcome;
    co::TaskGroup tasks(base);
    const std::vector<net::Address> addresses{*net::Address::parse(address)};
    tasks.spawn([&] { return connect_to(addresses, outcome); });
    settle();
    EXPECT_EQ(outcome.error, std::errc::connection_refused) << address;
    EXPECT_EQ(kernel.open(), 0U);
  }
}

TEST_F(HappyEyeballsTest, ConnectsThoughThePeerHasClosedAlready) {
  const net::Listener listener(base, net::Address::loopback(0));
  Attempt outcome;
  co::TaskGroup tasks(base);
  const std::vector<net::Address> addresses{listener.address()};
  tasks.spawn([&] { return connect_to(addresses, outcome); });
  kernel.close(kernel.accept(listener.fd(), nullptr, nullptr));
  settle();
  EXPECT_FALSE(outcome.error) << outcome.error.message();
  EXPECT_TRUE(outcome.socket);
}

TEST_F(HappyEyeballsTest, ConnectsEachSocketOnce) {
  const net::Listener listener(base, net::Address::loopback(0));
  Attempt outcome;
  co::TaskGroup tasks(base);
  const std::vector<net::Address> addresses{silent(1), listener.address()};
  tasks.spawn([&] { return connect_to(addresses, outcome); });
  settle();
  time.advance(250ms);
  settle();
  EXPECT_TRUE(outcome.socket);
  EXPECT_EQ(kernel.connects, 2);
}

TEST_F(HappyEyeballsTest, ReportsWhatTheResolverThrows) {
  net::set_resolver(base, [](std::string, int) -> Task<std::vector<net::Address>> {
    throw std::system_error(EAI_NONAME, net::name_category(), "no name");
    co_return {};
  });
  Attempt outcome;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return connect_by_name("a.name", 80, 10s, outcome); });
  settle();
  EXPECT_EQ(outcome.error, std::error_code(EAI_NONAME, net::name_category()));
}

TEST_F(HappyEyeballsTest, TakesNoAddressForAnUnknownName) {
  net::set_resolver(base,
                    [](std::string, int) -> Task<std::vector<net::Address>> { co_return {}; });
  Attempt outcome;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return connect_by_name("a.name", 80, 10s, outcome); });
  settle();
  EXPECT_EQ(outcome.error, std::error_code(EAI_NONAME, net::name_category()));
  EXPECT_EQ(outcome.error, net::no_such_name());
}

// Over the system alone.

class ConnectSystemTest : public EveryBackendCo {};

BACKEND_TEST(ConnectSystemTest, TakesALimitThatIsTooLongForNever) {
  Base base(real_time());
  const net::Listener listener(base, net::Address::loopback(0));
  const auto connects = [](int port) -> Task<bool> {
    const net::Socket socket = co_await net::connect("127.0.0.1", port, std::chrono::hours::max());
    co_return static_cast<bool>(socket);
  };
  EXPECT_TRUE(run_task(base, connects(listener.address().port())));

  net::ServeOptions serving;
  serving.grace = std::chrono::hours::max();
  EXPECT_EQ(serving.grace, Duration::max());
  net::RunOptions running;
  running.limit = std::chrono::hours::max();
  EXPECT_EQ(running.limit, Duration::max());
  EXPECT_GT(running.limit, 1s);
}

BACKEND_TEST(ConnectSystemTest, ConnectsToANumericHostWithoutAThread) {
  Base base(real_time());
  net::Listener listener(base, net::Address::loopback(0));
  Attempt outcome;
  run_task(base, connect_by_name("127.0.0.1", listener.address().port(), 10s, outcome));
  EXPECT_EQ(outcome.socket.peer(), listener.address());
}

BACKEND_TEST(ConnectSystemTest, ConnectsToANameOfThisMachine) {
  Base base(real_time());
  net::Listener listener(base, net::Address::any(0));
  Attempt outcome;
  run_task(base, connect_by_name("localhost", listener.address().port(), 10s, outcome));
  EXPECT_FALSE(outcome.error) << outcome.error.message();
  EXPECT_TRUE(outcome.socket);
}

Task<> resolve_often(std::string host, int& count) {
  constexpr int kBound = 1000;  // which is never reached, as the task waits before
  while (count < kBound) {
    ++count;
    const auto addresses = co_await net::resolve(host, 80);
  }
}

BACKEND_TEST(ConnectSystemTest, LetsOthersHaveTheirTurnThoughItNeedsNoLookup) {
  Base base(real_time());
  net::set_resolver(base, [](std::string, int port) -> Task<std::vector<net::Address>> {
    co_return std::vector<net::Address>{net::Address::loopback(port)};
  });
  for (const char* const host : {"127.0.0.1", "[::1]", "a.name"}) {
    co::TaskGroup tasks(base);
    int count = 0;
    tasks.spawn(resolve_often(host, count));
    EXPECT_LT(count, 20) << host;
    EXPECT_EQ(tasks.size(), 1U) << host;
    tasks.cancel();
    run(base);
    EXPECT_EQ(tasks.size(), 0U) << host;
    EXPECT_LT(count, 20) << host;
  }
}

Task<> resolve_once(std::string host, int port) {
  const auto addresses = co_await net::resolve(std::move(host), port);
  EXPECT_FALSE(addresses.empty());
}

BACKEND_TEST(ConnectSystemTest, ReportsANameThatDoesNotExist) {
  Base base(real_time());
  const std::error_code code = run_task(base, error_of(resolve_once("no such name", 80)));
  EXPECT_EQ(code.category(), net::name_category()) << code.message();
}

BACKEND_TEST(ConnectSystemTest, RefusesANameWithAZeroByte) {
  Base base(real_time());
  for (const std::string& host : {std::string("localhost\0.test", 15), std::string("\0", 1)}) {
    EXPECT_EQ(run_task(base, error_of(resolve_once(host, 80))), std::errc::invalid_argument);
  }
}

BACKEND_TEST(ConnectSystemTest, SaysOfANameWhatATerminalMayShow) {
  Base base(real_time());
  const auto ask = []() -> Task<> { co_await resolve_once("no\x1b such\nname", 80); };
  std::string what;
  try {
    run_task(base, ask());
  } catch (const std::system_error& error) {
    what = error.what();
  }
  EXPECT_NE(what.find("no? such?name"), std::string::npos) << what;
}

BACKEND_TEST(ConnectSystemTest, RefusesAPortOutOfRange) {
  Base base(real_time());
  for (const int port : {-1, 65536}) {
    EXPECT_EQ(run_task(base, error_of(resolve_once("127.0.0.1", port))),
              std::errc::invalid_argument);
    EXPECT_EQ(run_task(base, error_of(resolve_once("localhost", port))),
              std::errc::invalid_argument);
  }
}

BACKEND_TEST(ConnectSystemTest, ResolvesANumericAddressToItself) {
  Base base(real_time());
  const auto resolve = [](std::string host) -> Task<net::Address> {
    const auto addresses = co_await net::resolve(std::move(host), 80);
    EXPECT_EQ(addresses.size(), 1U);
    co_return addresses.front();
  };
  EXPECT_EQ(run_task(base, resolve("::1")), net::Address::loopback_ipv6(80));
  EXPECT_EQ(run_task(base, resolve("127.0.0.1")), net::Address::loopback(80));
}

BACKEND_TEST(ConnectSystemTest, ReportsAUnixSocketWhoseQueueIsFull) {
  Base base(real_time());
  const auto address = net::Address::unix_abstract("event_full_" + std::to_string(::getpid()));
  net::ListenOptions options;
  options.backlog = 1;
  const net::Listener listener(base, address, options);
  std::vector<net::Socket> waiting;
  std::error_code code;
  const auto connect = [&waiting](net::Address to) -> Task<> {
    net::Socket socket = co_await net::connect(to);
    waiting.push_back(std::move(socket));
  };
  for (int i = 0; i < 10 && !code; ++i) code = run_task(base, error_of(connect(address)));
  EXPECT_EQ(code, std::errc::resource_unavailable_try_again);
}

}  // namespace
}  // namespace event_cpp::test
