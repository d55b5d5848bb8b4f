// Several bases on one listening socket.
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "support/every_backend.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class ExclusiveTest : public EveryBackend {};

bool has_exclusive(const Options& options) {
  Base base(options);
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::exclusive, [] {});
  return event.try_attach() != Errc::unsupported;
}

class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd(), reinterpret_cast<sockaddr*>(&address_), sizeof address_), 0);
    socklen_t size = sizeof address_;
    EXPECT_EQ(::getsockname(fd(), reinterpret_cast<sockaddr*>(&address_), &size), 0);
    EXPECT_EQ(::listen(fd(), SOMAXCONN), 0);
  }

  int fd() const noexcept { return socket_.get(); }
  Fd connect() const {
    Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(
        ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_), 0);
    return client;
  }
  Fd accept() const { return Fd(::accept4(fd(), nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  Fd socket_;
  sockaddr_in address_{};
};

BACKEND_TEST(ExclusiveTest, WakesFewerThanTwoOfEightBasesForEachConnection) {
  if (!has_exclusive(real_time())) GTEST_SKIP() << "no such option on this backend";
  constexpr int kBases = 8;
  constexpr int kConnections = 300;
  const Listener listener;
  std::atomic<int> woken = 0;
  std::atomic<int> accepted = 0;
  std::atomic<int> waiting = 0;
  std::vector<std::atomic<pid_t>> sleepers(kBases);
  std::deque<Base> bases;
  std::vector<std::thread> threads;
  for (int i = 0; i < kBases; ++i) bases.emplace_back(real_time());
  for (std::size_t i = 0; i < kBases; ++i) {
    threads.emplace_back([&, i] {
      Base& base = bases[i];
      const Hook before(base, Hook::When::before_wait, [&] { ++waiting; });
      const Hook after(base, Hook::When::after_wait, [&] { --waiting; });
      sleepers[i] = this_thread();
      Event readable(base, listener.fd(), Events::read | Events::persist | Events::exclusive, [&] {
        ++woken;
        while (listener.accept().open()) ++accepted;
      });
      readable.attach();
      base.dispatch();
    });
  }

  for (int i = 0; i < kConnections; ++i) {
    // A base that is not asleep sees the next connection, too, whoever is woken for it.
    while (waiting != kBases) std::this_thread::yield();
    for (const auto& sleeper : sleepers) await_sleep_of(sleeper);
    const Fd client = listener.connect();
    while (accepted <= i) std::this_thread::yield();
  }
  for (Base& base : bases) base.stop();
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(accepted, kConnections);
  EXPECT_LT(woken, 2 * kConnections);
  RecordProperty("wakeups", woken);
}

BACKEND_TEST(ExclusiveTest, IsUnsupportedWhereTheBackendHasNoExclusive) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::exclusive, [] {});
  if (base.backend() == Backend::poll || base.backend() == Backend::kqueue) {
    EXPECT_EQ(event.try_attach(), Errc::unsupported);
    EXPECT_FALSE(event.attached());
  } else {
    EXPECT_EQ(event.try_attach(), std::error_code());
  }
}

BACKEND_TEST(ExclusiveTest, RefusesExclusiveTogetherWithClosedOrUrgent) {
  Base base(options());
  const Sockets sockets = tcp_pair();
  for (const Events other : {Events::closed, Events::urgent}) {
    Event event(base, sockets.ours.get(), Events::read | Events::exclusive | other, [] {});
    EXPECT_EQ(event.try_attach(), Errc::unsupported);
  }
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(ExclusiveTest, ChangesWhatIsWantedOfAnExclusiveDescriptor) {
  if (!has_exclusive(options())) GTEST_SKIP() << "no such option on this backend";
  Base base(options());
  const Sockets sockets = socket_pair();
  const int fd = sockets.ours.get();
  Event read(base, fd, Events::read | Events::exclusive | Events::persist, recorder.note(1));
  Event write(base, fd, Events::write | Events::exclusive | Events::persist, recorder.note(2));
  Event shared(base, fd, Events::write, recorder.note(3));
  Event closed(base, fd, Events::closed | Events::persist, recorder.note(4));
  const auto fired = [&] {
    recorder.order.clear();
    base.loop(RunMode::nonblock);
    return recorder.order;
  };

  write_bytes(sockets.theirs);
  read.attach();
  EXPECT_EQ(fired(), Order{1});
  write.attach();
  EXPECT_EQ(fired(), (Order{1, 2}));
  read.detach();
  EXPECT_EQ(fired(), Order{2});
  shared.attach();
  EXPECT_EQ(fired(), (Order{2, 3}));
  closed.attach();
  end_writing(sockets.theirs);
  EXPECT_EQ(fired(), (Order{2, 4}));
  closed.detach();
  write.detach();
  EXPECT_EQ(fired(), Order{});
  read.attach();
  EXPECT_EQ(fired(), Order{1});
}

BACKEND_TEST(ExclusiveTest, WakesForAllOnceSomebodyOnTheDescriptorDoesNotAskForIt) {
  if (!has_exclusive(options())) GTEST_SKIP() << "no such option on this backend";
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event exclusive(base, pipe.reader.get(), Events::read | Events::exclusive | Events::persist,
                  recorder.note(1));
  Event shared(base, pipe.reader.get(), Events::read, recorder.note(2));
  exclusive.attach();
  const std::uint64_t before = base.stats().registrations;

  shared.attach();

  EXPECT_GT(base.stats().registrations, before) << "the kernel must be told";
  base.loop(RunMode::nonblock);
  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(ExclusiveTest, KeepsAnExclusiveEventWhenTheKernelsSetIsRepaired) {
  if (!has_exclusive(options())) GTEST_SKIP() << "no such option on this backend";
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::exclusive | Events::persist,
              recorder.note(1));
  event.attach();
  meet_stale_registration(base);

  write_bytes(pipe.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.order, Order{1});
}

// Otherwise the kernel would wake this base in the place of another one.
BACKEND_TEST(ExclusiveTest, DoesNotKeepAnExclusiveRegistrationThatNobodyWants) {
  if (!has_exclusive(options())) GTEST_SKIP() << "no such option on this backend";
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::exclusive, recorder.note(1));
  event.attach();
  const std::uint64_t before = base.stats().registrations;
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  drain(pipe.reader);
  base.loop(RunMode::nonblock);

  EXPECT_EQ(base.stats().registrations, before + 1);
}

BACKEND_TEST(ExclusiveTest, AttachesAnExclusiveOneShotAgainAndAgain) {
  if (!has_exclusive(options())) GTEST_SKIP() << "no such option on this backend";
  Base base(options());
  const Pipe pipe = readable_pipe();
  int fired = 0;
  Event event(base, pipe.reader.get(), Events::read | Events::exclusive, [&](Event& self, Events) {
    if (++fired < 5) self.attach();
  });
  event.attach();

  run(base);
  EXPECT_EQ(fired, 5);
  for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock | RunMode::keep_alive);
  event.attach();
  run(base);

  EXPECT_EQ(fired, 6);
}

}  // namespace
}  // namespace event_cpp::test
