// The order in which bases, streams, and what uses them are destroyed.
#include <array>
#include <memory>

#include "net/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class NetLifetimeTest : public EveryBackendCo {};

Task<> read_for_ever(net::Stream& stream, int& ended) {
  const CountsDestruction counts(ended);
  std::array<char, 16> room{};
  co_await stream.read_some(room);
}

BACKEND_TEST(NetLifetimeTest, OfAStreamMayEndAfterItsBase) {
  auto sockets = net::Socket::pair();
  auto base = std::make_unique<Base>(real_time());
  int ended = 0;
  net::SocketStream stream(*base, std::move(sockets.first));
  stream.idle_timeout(1h);
  co::TaskGroup group(*base);
  group.spawn([&] { return read_for_ever(stream, ended); });
  base->loop(RunMode::nonblock);
  base.reset();
  EXPECT_EQ(ended, 1);
}

BACKEND_TEST(NetLifetimeTest, OfAStreamWithACallbackMayEndAfterItsBase) {
  auto sockets = net::Socket::pair();
  auto base = std::make_unique<Base>(real_time());
  const auto kept = std::make_shared<int>(0);
  {
    net::SocketStream stream(*base, std::move(sockets.first));
    stream.on_readable([kept] {});
    stream.on_writable([kept] {});
    base->loop(RunMode::nonblock);
    base.reset();
    EXPECT_EQ(kept.use_count(), 3);
  }
  EXPECT_EQ(kept.use_count(), 1);
}

BACKEND_TEST(NetLifetimeTest, OfABufferedMayEndAfterItsBaseAndSendsNoMore) {
  auto sockets = net::Socket::pair();
  auto base = std::make_unique<Base>(real_time());
  net::SocketStream stream(*base, std::move(sockets.first));
  {
    net::Buffered io(stream);
    io.put("sent");
    base.reset();
  }
  std::array<char, 8> room{};
  EXPECT_LT(::recv(sockets.second.fd(), room.data(), room.size(), MSG_DONTWAIT), 0);
}

BACKEND_TEST(NetLifetimeTest, OfABufferedThatIsBlockedMayEndAfterItsBase) {
  auto sockets = net::Socket::pair();
  auto base = std::make_unique<Base>(real_time());
  net::SocketStream stream(*base, std::move(sockets.first));
  net::Buffered io(stream);
  io.put(std::string(8 << 20, 'x'));
  base.reset();
}

BACKEND_TEST(NetLifetimeTest, OfAStreamMayEndWhileATaskWaits) {
  auto sockets = net::Socket::pair();
  Base base(real_time());
  int ended = 0;
  auto stream = std::make_unique<net::SocketStream>(base, std::move(sockets.first));
  co::TaskGroup group(base);
  group.spawn([&] { return read_for_ever(*stream, ended); });
  base.loop(RunMode::nonblock);
  stream.reset();
  EXPECT_THROW(run(base), std::system_error);  // of a task that was not cancelled
  EXPECT_EQ(ended, 1);
}

}  // namespace
}  // namespace event_cpp::test
