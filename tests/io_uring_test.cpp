// What is different about a ring: requests that hold files open, queues that are full, requests
// that end without being asked to, and a thread that it belongs to.
#if EVENT_HAVE_IO_URING

#include "backend/io_uring.hpp"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/forked.hpp"
#include "support/process.hpp"
#include "support/seccomp.hpp"

namespace event_cpp::test {
namespace {

using detail::Batch;
using detail::Change;
using detail::Ready;
using detail::RingSize;

Options on_ring(TimeSource* time = nullptr) {
  Options options;
  options.backend = Backend::io_uring;
  options.time = time;
  return options;
}

class IoUring : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<Backend> usable = usable_backends();
    if (std::find(usable.begin(), usable.end(), Backend::io_uring) == usable.end()) {
      GTEST_SKIP() << "there is no io_uring here";
    }
  }

  // How many poll requests the ring of the only base holds, as the kernel tells it.
  static std::size_t requests_in_kernel() {
    const int ring = new_descriptor({}, "[io_uring]");
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(ring));
    std::size_t count = 0;
    bool listed = false;
    for (std::string line; std::getline(info, line);) {
      if (listed && line.find("op=") == std::string::npos) break;
      if (listed) ++count;
      listed = listed || line.rfind("PollList", 0) == 0;
    }
    return count;
  }

  static bool at_end(const Fd& fd) {
    char byte = 0;
    return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }

  ManualTime time;
  Recorder recorder;
};

// A request holds its file open: it must be gone when a user may expect the file to be closed.

TEST_F(IoUring, LetsThePeerSeeTheEndOfADescriptorWhoseEventWasDestroyed) {
  Base base(on_ring(&time));
  Sockets sockets = socket_pair();
  std::optional<Event> event(std::in_place, base, sockets.ours.get(), kReadPersist, Never());
  event->attach();
  base.loop(RunMode::nonblock);

  event.reset();
  sockets.ours.close();

  EXPECT_TRUE(at_end(sockets.theirs));
}

TEST_F(IoUring, LetsThePeerSeeTheEndOfADescriptorThatWasAssignedAnother) {
  Base base(on_ring(&time));
  Sockets sockets = socket_pair();
  Event event(base, sockets.ours.get(), kReadPersist, Never());
  event.attach();
  base.loop(RunMode::nonblock);

  event.detach();
  event.assign(-1, Events::timeout);
  sockets.ours.close();

  EXPECT_TRUE(at_end(sockets.theirs));
}

TEST_F(IoUring, LetsThePeerSeeTheEndOfADescriptorThatWasDetachedWhileTheBaseDoesNotRun) {
  Base base(on_ring(&time));
  Sockets sockets = socket_pair();
  Event event(base, sockets.ours.get(), kReadPersist, Never());
  event.attach();
  base.loop(RunMode::nonblock);

  event.detach();
  sockets.ours.close();

  EXPECT_TRUE(at_end(sockets.theirs));
}

TEST_F(IoUring, LetsThePeerSeeTheEndOfADescriptorThatWasClosedInTheCallbackOfAOneShot) {
  for (const bool destroyed : {false, true}) {
    Base base(on_ring(&time));
    Sockets sockets = socket_pair();
    std::unique_ptr<Event> event;
    event = std::make_unique<Event>(base, sockets.ours.get(), Events::read, [&] {
      sockets.ours.close();
      if (destroyed) event.reset();
    });
    event->attach();
    end_writing(sockets.theirs);

    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

    EXPECT_TRUE(at_end(sockets.theirs)) << destroyed;
  }
}

TEST_F(IoUring, LetsThePeerSeeTheEndOfADescriptorThatWasDetachedAndClosedInACallback) {
  Base base(on_ring(&time));
  Sockets sockets = socket_pair();
  Event event(base, sockets.ours.get(), kReadPersist, [&](Event& self, Events) {
    self.detach();
    drain(sockets.ours);
    sockets.ours.close();
  });
  event.attach();
  write_bytes(sockets.theirs);

  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_TRUE(at_end(sockets.theirs));
}

TEST_F(IoUring, LetsThePeerSeeTheEndThoughAChangeIsUnderWay) {
  Base base(on_ring(&time));
  for (int i = 0; i < 100; ++i) {
    Sockets sockets = socket_pair();
    std::optional<Event> event(std::in_place, base, sockets.ours.get(), kReadPersist, Never());
    event->attach();
    base.loop(RunMode::nonblock);

    write_bytes(sockets.theirs);  // the removal finds that the request is about to report
    event.reset();
    drain(sockets.ours);
    sockets.ours.close();

    EXPECT_TRUE(at_end(sockets.theirs));
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  }
  EXPECT_EQ(requests_in_kernel(), 1U) << "the wake-up's";
}

TEST_F(IoUring, LetsEveryPeerSeeTheEndOnceTheBaseIsDestroyed) {
  const std::size_t count = std::min<std::size_t>(10'000, raise_descriptor_limit() / 2 - 100);
  std::deque<Sockets> sockets;
  std::deque<Event> events;
  {
    Base base(on_ring(&time));
    for (std::size_t i = 0; i < count; ++i) {
      sockets.push_back(socket_pair());
      events.emplace_back(base, sockets.back().ours.get(), kReadPersist, Never()).attach();
    }
    base.loop(RunMode::nonblock);
    EXPECT_EQ(requests_in_kernel(), count + 1);
  }
  for (Sockets& pair : sockets) {
    pair.ours.close();
    ASSERT_TRUE(at_end(pair.theirs));
  }
}

TEST_F(IoUring, NeitherFiresForNorHoldsTheFileThatTookTheNumberBeforeTheWait) {
  Base base(on_ring(&time));
  Sockets old = socket_pair();
  Sockets fresh = socket_pair();
  Event event(base, old.ours.get(), kReadPersist, Never());
  event.attach();
  const int number = old.ours.get();
  old.ours.close();
  Fd taken = move_to(number, std::move(fresh.ours));
  write_bytes(fresh.theirs);

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  drain(taken);
  taken.close();

  EXPECT_TRUE(at_end(fresh.theirs));
}

TEST_F(IoUring, FiresNoMoreThanAFewTimesForAFileThatWasClosedAndStaysReady) {
  Base base(on_ring(&time));
  Sockets sockets = socket_pair();
  int fired = 0;
  Event event(base, sockets.ours.get(), kReadPersist, [&] { ++fired; });
  event.attach();
  write_bytes(sockets.theirs);
  base.loop(RunMode::nonblock);

  sockets.ours.close();
  for (int i = 0; i < 100; ++i) base.loop(RunMode::nonblock);

  EXPECT_LE(fired, 3);
}

// Requests.

TEST_F(IoUring, ReportsNothingThatWasReadBeforeTheBaseLooked) {
  Base base(on_ring(&time));
  const Sockets sockets = socket_pair();
  Event event(base, sockets.ours.get(), kReadPersist, Never());
  event.attach();
  for (int i = 0; i < 10; ++i) {
    base.loop(RunMode::nonblock);
    write_bytes(sockets.theirs);
    drain(sockets.ours);
  }

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

// The kernel completes some twenty in a call.
TEST_F(IoUring, ReportsAllThatIsReadyInOneIteration) {
  Base base(on_ring(&time));
  std::deque<Pipe> pipes;
  std::deque<Event> events;
  for (std::size_t i = 0; i < 60; ++i) {
    pipes.push_back(make_pipe());
    const Priority priority = i == 59 ? Priority::high : Priority::low;
    events.emplace_back(base, pipes.back().reader.get(), kReadPersist,
                        recorder.note(static_cast<int>(i)), priority);
    events.back().attach();
  }
  base.loop(RunMode::nonblock);

  for (const Pipe& pipe : pipes) write_bytes(pipe.writer);

  EXPECT_EQ(base.loop(RunMode::nonblock), events.size());
  EXPECT_EQ(recorder.order.front(), 59);
}

TEST_F(IoUring, HasOneRequestADescriptorHoweverOftenItsEventsChange) {
  Base base(on_ring(&time));
  const Sockets sockets = socket_pair();
  const int fd = sockets.ours.get();
  Event read(base, fd, kReadPersist, Never());
  Event write(base, fd, Events::write, [] {});
  read.attach();
  for (int i = 0; i < 1'000; ++i) {
    if (i % 3 != 0) static_cast<void>(write.try_attach());
    if (i % 3 == 0) write.detach();
    if (i % 2 == 0) base.loop(RunMode::nonblock);
  }
  base.loop(RunMode::nonblock);

  EXPECT_EQ(requests_in_kernel(), 2U) << "this and the wake-up's";
}

TEST_F(IoUring, LeavesNoRequestBehindWhenRemovalsMeetReadiness) {
  constexpr int kTimes = 20'000;
  Base base(on_ring(&time));
  const Sockets sockets = socket_pair();
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) static_cast<void>(::send(sockets.theirs.get(), "x", 1, MSG_DONTWAIT));
  });
  for (int i = 0; i < kTimes; ++i) {
    int fired = 0;
    Event event(base, sockets.ours.get(), Events::read, [&] { ++fired; });
    event.attach();
    base.loop(RunMode::nonblock);
    EXPECT_LE(fired, 1);
    if (i % 16 == 0) drain(sockets.ours);
  }
  stop = true;
  writer.join();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(requests_in_kernel(), 1U) << "the wake-up's";
}

TEST_F(IoUring, MakesOneCallAnIterationWhateverIsAttachedAndNoneIfNothingHappened) {
  constexpr std::size_t kRounds = 40;
  Base base(on_ring(&time));
  std::deque<Pipe> pipes;
  std::deque<Event> events;
  for (std::size_t i = 0; i < 15; ++i) {
    pipes.push_back(make_pipe());
    events.emplace_back(base, pipes.back().reader.get(), Events::read, [&, i](Event& self, Events) {
      drain(pipes[i].reader);
      self.attach();
    });
    events.back().attach();
  }
  base.loop(RunMode::nonblock);

  const CountingCall waits(Call::io_uring_wait);
  const CountingCall checks(Call::fstat);
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (const Pipe& pipe : pipes) write_bytes(pipe.writer);
    EXPECT_EQ(base.loop(RunMode::nonblock), events.size());
  }
  EXPECT_EQ(waits.count(), kRounds) << "with all that was attached again";
  EXPECT_LE(checks.count(), 6 * events.size()) << "whether they are still open, ever more rarely";

  base.loop(RunMode::nonblock);
  const CountingCall idle(Call::io_uring_wait);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  EXPECT_EQ(idle.count(), 0U);
}

TEST_F(IoUring, StartsNoThread) {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const auto before = threads();
  Base base(on_ring());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, [&] { EXPECT_EQ(threads(), before); });
  event.attach();
  base.dispatch();

  EXPECT_EQ(threads(), before);
}

TEST_F(IoUring, WatchesEveryDescriptorThroughRingsThatGrow) {
  constexpr std::size_t kMany = 2'000;
  const std::size_t count = std::min(kMany, raise_descriptor_limit() / 2 - 100);
  Base base(on_ring(&time));
  std::deque<Sockets> sockets;
  std::deque<Event> events;
  std::size_t fired = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sockets.push_back(socket_pair());
    events.emplace_back(base, sockets.back().ours.get(), kReadPersist, [&, i] {
      drain(sockets[i].ours);
      ++fired;
    });
    events.back().attach();
    write_bytes(sockets[i / 2].theirs);
    while (base.loop(RunMode::nonblock) != 0) {
    }
    ASSERT_EQ(std::exchange(fired, 0), 1U) << i;
  }
  EXPECT_EQ(requests_in_kernel(), count + 1);
}

// A ring belongs to one thread; a base to each that runs it in turn.

TEST_F(IoUring, IsRunByOneThreadAfterTheOther) {
  Base base(on_ring(&time));
  Sockets sockets = socket_pair();
  const Fd file = regular_file();
  int on_file = 0;
  std::optional<Event> event(std::in_place, base, sockets.ours.get(), kReadPersist, [&] {
    drain(sockets.ours);
    recorder.order.push_back(1);
  });
  Event always(base, file.get(), kReadPersist, [&] { ++on_file; });
  event->attach();
  always.attach();
  for (int i = 0; i < 3; ++i) {
    std::thread([&] {
      const Base other(on_ring());  // has the same place among this thread's rings
      write_bytes(sockets.theirs);
      EXPECT_EQ(base.loop(RunMode::nonblock), 2U);
      EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    }).join();
  }
  EXPECT_EQ(recorder.order, (Order{1, 1, 1}));
  EXPECT_EQ(on_file, 6);

  write_bytes(sockets.theirs);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(recorder.order.size(), 4U) << "and by the one that made it";
}

// A ring that is too small for what goes through it.

class SmallRing : public IoUring {
 protected:
  static constexpr RingSize kSmall{8, 8, false};

  void SetUp() override {
    IoUring::SetUp();
    if (!IsSkipped()) port_ = detail::make_io_uring(kSmall);
  }

  int add(int fd, Events wanted = Events::read) {
    return port_->update(Change::add, fd, static_cast<std::uint32_t>(fd), wanted);
  }

  // What one wait reports, by descriptor.
  std::map<int, Events> look() {
    std::map<int, Events> seen;
    EXPECT_EQ(port_->wait(TimePoint::max(), false, batch_), 0);
    batch_.take([&](const Ready& ready) {
      EXPECT_EQ(ready.generation, static_cast<std::uint32_t>(ready.fd));
      seen[ready.fd] |= ready.what();
    });
    return seen;
  }

  // What is reported until something would be a second time.
  std::size_t look_at_all() {
    std::map<int, Events> all;
    for (int i = 0; i < 1'000; ++i) {
      const auto seen = look();
      if (seen.empty()) break;
      all.insert(seen.begin(), seen.end());
    }
    return all.size();
  }

  std::unique_ptr<detail::BackendPort> port_;
  Batch batch_{64};
};

TEST_F(SmallRing, TakesMoreThanFitsAtOnce) {
  constexpr std::size_t kMany = 100;
  std::deque<Pipe> pipes;
  for (std::size_t i = 0; i < kMany; ++i) {
    pipes.push_back(make_pipe());
    ASSERT_EQ(add(pipes.back().reader.get()), 0);
  }
  EXPECT_EQ(look().size(), 0U);
  for (int round = 0; round < 10; ++round) {
    for (const Pipe& pipe : pipes) write_bytes(pipe.writer);
    EXPECT_EQ(look_at_all(), kMany) << "though most requests ended when the queue was full";
    for (const Pipe& pipe : pipes) drain(pipe.reader);
    EXPECT_EQ(look().size(), 0U);
  }
}

TEST_F(SmallRing, LosesNothingOfManyThousands) {
  constexpr std::size_t kMany = 500;
  std::deque<Pipe> pipes;
  for (std::size_t i = 0; i < kMany; ++i) {
    pipes.push_back(readable_pipe());
    ASSERT_EQ(add(pipes.back().reader.get()), 0);
  }
  std::map<int, std::size_t> counts;
  std::size_t rounds = 0;
  while (counts.size() < kMany || rounds < 100) {
    ASSERT_LT(++rounds, 10'000U);
    for (const auto& [fd, what] : look()) {
      EXPECT_EQ(what, Events::read);
      ++counts[fd];
    }
  }
  for (const auto& [fd, count] : counts) EXPECT_GT(count, 0U);
}

TEST_F(SmallRing, KeepsWhatReportsChangesAliveWhenTheQueueOverflows) {
  const Fd doorbell(::eventfd(0, EFD_NONBLOCK));
  ASSERT_EQ(add(doorbell.get(), Events::read | Events::edge), 0);
  std::deque<Pipe> pipes;
  for (int i = 0; i < 100; ++i) {
    pipes.push_back(make_pipe());
    ASSERT_EQ(add(pipes.back().reader.get()), 0);
  }
  look_at_all();
  for (int round = 0; round < 10; ++round) {
    for (const Pipe& pipe : pipes) write_bytes(pipe.writer);
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(doorbell.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    bool rang = false;
    for (int i = 0; i < 100 && !rang; ++i) rang = look().count(doorbell.get()) != 0;
    EXPECT_TRUE(rang);
    for (const Pipe& pipe : pipes) drain(pipe.reader);
    look_at_all();
  }
}

TEST_F(SmallRing, RemovesMoreThanFitsAtOnce) {
  std::deque<Sockets> sockets;
  for (int i = 0; i < 100; ++i) {
    sockets.push_back(socket_pair());
    ASSERT_EQ(add(sockets.back().ours.get()), 0);
  }
  look();
  for (const Sockets& pair : sockets) {
    EXPECT_EQ(port_->update(Change::remove, pair.ours.get(), 0, Events::none), 0);
  }
  port_->let_go();
  for (Sockets& pair : sockets) {
    pair.ours.close();
    EXPECT_TRUE(at_end(pair.theirs));
  }
}

// Where there is none.

class NoRing : public IoUring, public testing::WithParamInterface<int> {};

TEST_P(NoRing, IsAnErrorByNameAndPassedOverByAutomatic) {
  EXPECT_TRUE(succeeds_in_child([] {
    ASSERT_TRUE(refuse_calls({SYS_io_uring_setup}, GetParam()));
    EXPECT_EQ(thrown_by([] { const Base base(on_ring()); }), system_error(GetParam()));
    const std::vector<Backend> usable = Base::backends();
    EXPECT_EQ(std::find(usable.begin(), usable.end(), Backend::io_uring), usable.end());
    const FailingCall no_epoll(Call::epoll_create1, ENOSYS, 1, kAlways);
    EXPECT_EQ(Base().backend(), Backend::poll);
  }));
}

TEST_F(IoUring, IsMadeSmallerWhereLittleMemoryMayBeLocked) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const auto as_another_user = [](rlim_t bytes, auto&& part) {
    const rlimit limit{bytes, bytes};
    ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    ASSERT_EQ(::setuid(54'321), 0);
    part();
  };
  EXPECT_TRUE(succeeds_in_child([&] {
    as_another_user(64U << 10, [] {
      Base base(on_ring());
      const Pipe pipe = readable_pipe();
      bool fired = false;
      base.once(pipe.reader.get(), Events::read, 0s, [&] { fired = true; });
      base.dispatch();
      EXPECT_TRUE(fired);
    });
  }));
  EXPECT_TRUE(succeeds_in_child([&] {
    as_another_user(
        0, [] { EXPECT_EQ(thrown_by([] { const Base base(on_ring()); }), system_error(ENOMEM)); });
  }));
}

INSTANTIATE_TEST_SUITE_P(, NoRing, testing::Values(ENOSYS, EPERM, ENOMEM));

}  // namespace
}  // namespace event_cpp::test

#endif
