// Datagrams: whole messages, whatever becomes of those before.
#include <unistd.h>

#include <memory>

#include "net/networks.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

Task<> receive_one(net::Datagram& socket, net::Packet& packet) {
  net::Packet received = co_await socket.receive();
  packet = std::move(received);
}
Task<> send_one(net::Datagram& socket, std::string bytes, net::Address to) {
  co_await socket.send(bytes, to);
}

class DatagramTest : public EveryNetwork {
 protected:
  net::Datagram a{base, net::Address::loopback(0)};
  net::Datagram b{base, net::Address::loopback(0)};
};
ON_EVERY_NETWORK(DatagramTest);

TEST_P(DatagramTest, CarriesMessagesOfEverySize) {
  for (const std::size_t size : {0U, 1U, 1000U, 65507U}) {
    run(send_one(a, std::string(size, 'x'), b.address()));
    net::Packet packet;
    run(receive_one(b, packet));
    EXPECT_EQ(packet.bytes.size(), size);
    EXPECT_EQ(packet.from, a.address());
    EXPECT_FALSE(packet.truncated);
  }
}

TEST_P(DatagramTest, RefusesAMessageThatIsTooLong) {
  EXPECT_EQ(run(error_of(send_one(a, std::string(70'000, 'x'), b.address()))),
            std::errc::message_size);
  run(send_one(a, "x", b.address()));
}

TEST_P(DatagramTest, WaitsForAMessageAndAnswersIt) {
  std::string answer;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    const net::Packet packet = co_await b.receive();
    co_await b.send(packet.bytes, packet.from);
  });
  tasks.spawn([&]() -> Task<> {
    co_await co::yield();
    co_await a.send("ping", b.address());
    const net::Packet packet = co_await a.receive();
    answer = packet.bytes.text();
  });
  run_until([&] { return answer == "ping"; });
}

TEST_P(DatagramTest, CallsBackWhileThereAreMessages) {
  int messages = 0;
  b.on_readable([&] {
    net::Packet packet;
    if (b.try_receive(packet) == 0) ++messages;
  });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(a.try_send("x", b.address()), 0);
  run_until([&] { return messages == 5; });
  b.on_readable({});
  EXPECT_EQ(a.try_send("x", b.address()), 0);
  settle();
  EXPECT_EQ(messages, 5);
}

TEST_P(DatagramTest, IsDestroyedWithACallbackThatOwnsItHoweverThatEnds) {
  for (const bool replaces : {true, false}) {
    auto owner = std::make_shared<net::Datagram>(base, net::Address::loopback(0));
    const std::weak_ptr<net::Datagram> still = owner;
    net::Datagram& datagram = *owner;
    datagram.on_readable([kept = std::move(owner)] {});
    datagram.on_readable(replaces ? [] {} : std::function<void()>());
    EXPECT_TRUE(still.expired());
    settle();
  }
}

TEST_P(DatagramTest, GoesOnAfterAPeerThatIsGone) {
  auto gone = std::make_unique<net::Datagram>(base, net::Address::loopback(0));
  const net::Address nobody = gone->address();
  gone.reset();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(a.try_send("lost", nobody), 0);
  run(send_one(b, "found", a.address()));
  net::Packet packet;
  run(receive_one(a, packet));
  EXPECT_EQ(packet.bytes.text(), "found");
}

TEST_P(DatagramTest, ThatIsConnectedReportsAPeerThatIsGoneAndGoesOn) {
  auto gone = std::make_unique<net::Datagram>(base, net::Address::loopback(0));
  const net::Address nobody = gone->address();
  gone.reset();
  a.connect(nobody);
  EXPECT_EQ(a.try_send("lost", net::Address()), 0);
  net::Packet packet;
  net::Io io = net::kWouldBlock;
  run_until([&] {
    base.post([] {});
    io = a.try_receive(packet);
    return io != net::kWouldBlock;
  });
  EXPECT_EQ(net::to_error(io), std::errc::connection_refused);
  EXPECT_EQ(a.try_receive(packet), net::kWouldBlock);
}

#ifdef NDEBUG  // else it is asserted

TEST_P(DatagramTest, RefusesASecondTaskThatWouldWaitAndKeepsTheFirst) {
  net::Packet first;
  net::Packet second;
  co::TaskGroup tasks(base);
  tasks.spawn(receive_one(b, first));
  settle();
  EXPECT_EQ(run(error_of(receive_one(b, second))), std::errc::device_or_resource_busy);
  EXPECT_EQ(a.try_send("x", b.address()), 0);
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(first.bytes.text(), "x");
}

#endif

TEST_P(DatagramTest, EndsAWaitWhenItIsDestroyed) {
  auto waits = std::make_unique<net::Datagram>(base, net::Address::loopback(0));
  std::error_code code;
  co::TaskGroup tasks(base);
  net::Packet packet;
  tasks.spawn([&]() -> Task<> { code = co_await error_of(receive_one(*waits, packet)); });
  settle();
  waits.reset();
  settle();
  EXPECT_EQ(code, std::errc::operation_canceled);
}

TEST_P(DatagramTest, LosesNoMessageIfAReceiveIsCancelled) {
  net::Packet packet;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return receive_one(b, packet); });
  settle();
  tasks.cancel();
  EXPECT_EQ(a.try_send("kept", b.address()), 0);
  settle();
  run(receive_one(b, packet));
  EXPECT_EQ(packet.bytes.text(), "kept");
}

class DatagramSystemTest : public EveryBackendCo {};

std::string free_name() {
  static int next = 0;
  return "/tmp/event_dgram_" + std::to_string(::getpid()) + "_" + std::to_string(next++);
}

BACKEND_TEST(DatagramSystemTest, ShowsThatAMessageWasCut) {
  Base base(real_time());
  net::Datagram a(base, net::Address::unix_path(free_name()));
  net::Datagram b(base, net::Address::unix_path(free_name()));
  run_task(base, send_one(a, std::string(100'000, 'x'), b.address()));
  net::Packet packet;
  run_task(base, receive_one(b, packet));
  EXPECT_TRUE(packet.truncated);
  EXPECT_EQ(packet.bytes.size(), std::size_t{64} << 10);
  EXPECT_EQ(packet.from, a.address());
}

BACKEND_TEST(DatagramSystemTest, DoesNotBlockOnASocketThatWasInherited) {
  Base base(real_time());
  net::Socket inherited(::socket(AF_INET, SOCK_DGRAM, 0));
  inherited.bind(net::Address::loopback(0));
  net::Datagram datagram(base, std::move(inherited));
  net::Packet packet;
  EXPECT_EQ(datagram.try_receive(packet), net::kWouldBlock);
  const auto receive = [&]() -> Task<> {
    co_await co::with_timeout(1ms, receive_one(datagram, packet));
  };
  EXPECT_EQ(run_task(base, error_of(receive())), std::errc::timed_out);
}

BACKEND_TEST(DatagramSystemTest, RemovesItsPathAndOnlyItsOwn) {
  Base base(real_time());
  const std::string name = free_name();
  const auto address = net::Address::unix_path(name);
  auto first = std::make_unique<net::Datagram>(base, address);
  EXPECT_EQ(::access(name.c_str(), F_OK), 0);
  ::unlink(name.c_str());
  auto second = std::make_unique<net::Datagram>(base, address);
  first.reset();
  EXPECT_EQ(::access(name.c_str(), F_OK), 0);
  second.reset();
  EXPECT_NE(::access(name.c_str(), F_OK), 0);
}

BACKEND_TEST(DatagramSystemTest, TakesOverAPathThatWasLeftBehindButNoOther) {
  Base base(real_time());
  const std::string name = free_name();
  const auto address = net::Address::unix_path(name);
  {
    net::Socket left = net::Socket::make(base, AF_UNIX, SOCK_DGRAM);
    left.bind(address);
  }
  {
    const net::Datagram datagram(base, address);
    EXPECT_THROW(net::Datagram(base, address), std::system_error);
    EXPECT_THROW(net::Listener(base, address), std::system_error);
    EXPECT_EQ(::access(name.c_str(), F_OK), 0);
  }
  const net::Listener listener(base, address);
  EXPECT_THROW(net::Datagram(base, address), std::system_error);
  EXPECT_EQ(::access(name.c_str(), F_OK), 0);
}

BACKEND_TEST(DatagramSystemTest, WaitsForRoomOfTheReceiver) {
  Base base(real_time());
  net::Datagram a(base, net::Address::unix_path(free_name()));
  net::Datagram b(base, net::Address::unix_path(free_name()));
  const std::string message(1000, 'x');
  int sent = 0;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    while (sent < 2000) {
      co_await a.send(message, b.address());
      ++sent;
    }
  });
  const auto receive_all = [&]() -> Task<int> {
    int received = 0;
    while (received < 2000) {
      const net::Packet packet = co_await b.receive();
      ++received;
    }
    co_return received;
  };
  EXPECT_EQ(run_task(base, receive_all()), 2000);
}

BACKEND_TEST(DatagramSystemTest, EndsReceivingWhenItsSocketIsShutDown) {
  Base base(real_time());
  if (base.backend() == Backend::kqueue) GTEST_SKIP() << "the model does not tell of it";
  net::Datagram a(base, net::Address::loopback(0));
  const net::Datagram b(base, net::Address::loopback(0));
  a.connect(b.address());
  const auto receive = [](net::Datagram& from) -> Task<> {
    const net::Packet packet = co_await from.receive();
  };
  std::vector<std::error_code> codes;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    for (int i = 0; i < 20; ++i) {
      const std::error_code code = co_await error_of(receive(a));
      codes.push_back(code);
    }
  });
  base.loop(RunMode::nonblock);
  EXPECT_TRUE(codes.empty());
  a.with_socket([](net::Socket& socket) { socket.shutdown(SHUT_RDWR); });
  const Bounded bounded(base);
  for (int i = 0; i < 100'000 && tasks.size() > 0; ++i) base.loop(RunMode::nonblock);
  ASSERT_EQ(codes.size(), 20U);
  for (const std::error_code code : codes) EXPECT_EQ(code.value(), ESHUTDOWN);
}

BACKEND_TEST(DatagramSystemTest, SleepsAfterAMessageThatNobodyGot) {
  Base base(watched());
  net::Datagram a(base, net::Address::loopback(0));
  net::Address nobody;
  {
    const net::Datagram gone(base, net::Address::loopback(0));
    nobody = gone.address();
  }
  a.connect(nobody);
  EXPECT_EQ(a.try_send("lost", net::Address()), 0);
  EXPECT_TRUE(stays_asleep(base));
}

}  // namespace
}  // namespace event_cpp::test
