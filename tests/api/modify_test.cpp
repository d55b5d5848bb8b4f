// Event::modify(): one event per connection, whose interest changes as the connection goes on.
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <deque>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"

namespace event_cpp::test {
namespace {

constexpr Events kWritePersist = Events::write | Events::persist;

class ModifyTest : public EveryBackend {
 protected:
  static std::uint64_t kernel_calls(const Base& base) { return base.stats().registrations; }
};

BACKEND_TEST(ModifyTest, ChangesWhatTheNextAttachWatches) {
  Base base(options());
  const Sockets pair = socket_pair();
  Event event(base, pair.ours.get(), Events::read, recorder.note_fired());

  event.modify(Events::write);
  event.attach();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, Fired{Events::write});
  EXPECT_EQ(event.events(), Events::write);
}

BACKEND_TEST(ModifyTest, ChangesWhatAnAttachedEventWaitsFor) {
  Base base(options());
  const Sockets pair = socket_pair();
  write_bytes(pair.theirs);
  Event event(base, pair.ours.get(), kReadPersist, recorder.note_fired());
  event.attach();
  base.loop(RunMode::nonblock);

  event.modify(kWritePersist);
  base.loop(RunMode::nonblock);
  event.modify(kReadPersist | kWritePersist);
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::write, Events::read | Events::write}));
  EXPECT_TRUE(event.attached());
}

BACKEND_TEST(ModifyTest, CostsOneCallForSeveralChanges) {
  Base base(options());
  const Sockets pair = socket_pair();
  Event event(base, pair.ours.get(), kReadPersist, [] {});
  event.attach();
  base.loop(RunMode::nonblock);
  const std::uint64_t before = kernel_calls(base);

  event.modify(kWritePersist);
  event.modify(kReadPersist);
  event.modify(kWritePersist);
  EXPECT_EQ(kernel_calls(base), before) << "not before the next wait";
  base.loop(RunMode::nonblock);

  EXPECT_EQ(kernel_calls(base), before + 1);
}

BACKEND_TEST(ModifyTest, CostsNoCallIfTheInterestIsBackToWhatItWas) {
  Base base(options());
  std::deque<Sockets> pairs;
  std::deque<Event> events;
  for (int i = 0; i < 200; ++i) {
    pairs.push_back(socket_pair());
    events.emplace_back(base, pairs.back().ours.get(), kReadPersist, [] {}).attach();
  }
  base.loop(RunMode::nonblock);
  const std::uint64_t before = kernel_calls(base);

  for (Event& event : events) event.modify(kReadPersist | kWritePersist);
  for (Event& event : events) event.modify(kReadPersist);
  base.loop(RunMode::nonblock);

  EXPECT_EQ(kernel_calls(base), before);
}

BACKEND_TEST(ModifyTest, PausesAnEventThatWaitsForNothing) {
  Base base(options());
  const Sockets pair = socket_pair();
  Event event(base, pair.ours.get(), kReadPersist, recorder.note_fired());
  event.attach();

  event.modify(Events::persist);
  write_bytes(pair.theirs);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(recorder.fired, Fired{});
  EXPECT_TRUE(event.attached());

  event.modify(kReadPersist);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(ModifyTest, DoesNotSpinIfThePeerGoesWhileTheEventIsPaused) {
  Base base(watched());
  Sockets pair = tcp_pair();
  Event event(base, pair.ours.get(), kReadPersist, recorder.note_fired());
  event.attach();
  event.modify(Events::persist);
  reset(std::move(pair.theirs));

  EXPECT_TRUE(stays_asleep(base));

  event.modify(Events::read);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(recorder.fired, Fired{Events::read}) << "it is told once it asks again";
}

BACKEND_TEST(ModifyTest, LeavesTheDeadlineAsItIs) {
  Base base(options());
  const Sockets pair = socket_pair();
  Event event(base, pair.ours.get(), Events::read, recorder.note_fired());
  event.attach(1s);
  const auto deadline = event.deadline();

  event.modify(Events::none);

  EXPECT_EQ(event.deadline(), deadline);
  run(base);
  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

BACKEND_TEST(ModifyTest, TurnsAOneShotIntoAPersistentEventAndBack) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach();

  event.modify(kReadPersist);
  for (int i = 0; i < 2; ++i) base.loop(RunMode::nonblock);
  EXPECT_TRUE(event.attached());
  event.modify(Events::read);
  base.loop(RunMode::nonblock);

  EXPECT_FALSE(event.attached());
  EXPECT_EQ(recorder.fired.size(), 3U);
}

BACKEND_TEST(ModifyTest, CallsOffWhatIsReportedButNotAskedForAnyMore) {
  Base base(options());
  const Sockets pair = socket_pair();
  write_bytes(pair.theirs);
  Event both(base, pair.ours.get(), kReadPersist | kWritePersist, recorder.note_fired());
  Event one(base, pair.ours.get(), kReadPersist, Never());
  Timer first(
      base,
      [&] {
        both.modify(kWritePersist);
        one.modify(kWritePersist);
        base.stop_now();
      },
      Priority::high);
  both.attach();
  one.attach();
  first.attach();

  run(base);
  one.detach();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired.at(0), Events::write);
}

BACKEND_TEST(ModifyTest, MakesATimeoutWaitForADescriptorToo) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::none, recorder.note_fired());
  event.attach(1h);
  base.loop(RunMode::nonblock);

  event.modify(Events::read);
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

// Whether it was attached for a time alone, watched the descriptor before, or was paused.
BACKEND_TEST(ModifyTest, FiresWhatBeginsToWaitForADescriptorAfterTheOthersOnIt) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  const int fd = pipe.reader.get();
  Event timed(base, fd, Events::persist, recorder.note(1));
  Event again(base, fd, Events::read, recorder.note(2));
  Event paused(base, fd, kReadPersist, recorder.note(3));
  Event other(base, fd, kReadPersist, recorder.note(4));
  again.attach();
  paused.attach();
  base.loop(RunMode::nonblock);
  recorder.order.clear();
  again.modify(Events::persist);
  again.attach(1h);
  timed.attach(1h);
  paused.modify(Events::persist);
  other.attach();

  for (Event* const begins : {&again, &paused, &timed}) begins->modify(kReadPersist);
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.order, (Order{4, 2, 3, 1}));
}

BACKEND_TEST(ModifyTest, ReportsWhatIsWrongAndChangesNothing) {
  Base base(options());
  Timer timer(base, [] {});
  timer.attach(1h);
  EXPECT_TRUE(timer.try_modify(Events::read)) << "it has no descriptor";
  EXPECT_EQ(timer.events(), Events::timeout);

  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), kReadPersist, recorder.note_fired());
  event.attach();
  EXPECT_EQ(event.try_modify(Events::urgent | Events::exclusive), Errc::unsupported);
  EXPECT_EQ(thrown_by([&] { event.modify(Events::urgent | Events::exclusive); }),
            Errc::unsupported);
  EXPECT_EQ(event.events(), kReadPersist);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(ModifyTest, ReportsAnFdThatWasClosedWhenItsEventOnlyWaitedForATime) {
  Base base(options());
  Event event(base, closed_number(), Events::none, [] {});
  event.attach(1h);

  EXPECT_EQ(event.try_modify(Events::read), std::errc::bad_file_descriptor);
  EXPECT_EQ(event.events(), Events::none);
  EXPECT_TRUE(event.attached());
}

BACKEND_TEST(ModifyTest, SurvivesADescriptorThatWasClosedWhileWatched) {
  Base base(watched());
  Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), kReadPersist, Never());
  event.attach();
  pipe.reader.close();

  event.modify(kWritePersist);

  EXPECT_TRUE(stays_asleep(base));
}

BACKEND_TEST(ModifyTest, WorksOnAFileThatIsAlwaysReady) {
  Base base(options());
  const Fd file = regular_file();
  Event event(base, file.get(), kReadPersist, recorder.note_fired());
  event.attach();
  base.loop(RunMode::nonblock);
  event.modify(kWritePersist);
  base.loop(RunMode::nonblock);
  event.modify(Events::persist);
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::write}));
}

BACKEND_TEST(ModifyTest, TellsOfAnEdgeThatCameWhileTheEventWasPaused) {
  Base base(options());
  const Sockets pair = socket_pair();
  Event event(base, pair.ours.get(), kReadPersist | Events::edge, recorder.note_fired());
  if (event.try_attach() == Errc::unsupported) GTEST_SKIP() << "no edges on this backend";
  event.modify(kWritePersist | Events::edge);
  base.loop(RunMode::nonblock);
  write_bytes(pair.theirs);
  base.loop(RunMode::nonblock);
  recorder.fired.clear();

  event.modify(kReadPersist | Events::edge);
  for (int i = 0; i < 2; ++i) base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(ModifyTest, LeavesASignalASignal) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note_fired());
  signal.attach();

  signal.modify(Events::none);
  EXPECT_TRUE(signal.try_modify(Events::read)) << "a signal has no descriptor";
  ::raise(SIGUSR1);
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::signal});
  EXPECT_FALSE(signal.attached()) << "it does not persist any more";
}

BACKEND_TEST(ModifyTest, LosesNothingIfTheKernelHasNoRoomForTheChange) {
  if (GetParam() == Backend::poll) GTEST_SKIP() << "no system call is made";
  Base base(options());
  const Sockets pair = socket_pair();
  Event event(base, pair.ours.get(), kReadPersist, recorder.note_fired());
  event.attach();
  base.loop(RunMode::nonblock);
  event.modify(kWritePersist);
  {
    const FailingCall failing(attaching_on(GetParam()), ENOMEM);
    EXPECT_EQ(thrown_by([&] { base.loop(RunMode::nonblock); }), std::errc::not_enough_memory);
  }

  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, Fired{Events::write});
}

BACKEND_TEST(ModifyTest, IsForgottenByAnEventThatIsDestroyedOrDetached) {
  Base base(watched());
  const Sockets pair = socket_pair();
  {
    Event destroyed(base, pair.ours.get(), kReadPersist, Never());
    destroyed.attach();
    destroyed.modify(kWritePersist);
  }
  Event detached(base, pair.theirs.get(), kReadPersist, Never());
  detached.attach();
  detached.modify(kWritePersist);
  detached.detach();

  EXPECT_TRUE(stays_asleep(base));
}

// A connection that is accepted, served and closed costs one registration, as in a loop written by
// hand for epoll.
BACKEND_TEST(ModifyTest, MakesAConnectionCostOneCall) {
  if (GetParam() != Backend::epoll) GTEST_SKIP() << "elsewhere removing costs nothing, or a change";
  Base base(options());
  constexpr int kConnections = 50;
  const std::uint64_t before = kernel_calls(base);

  for (int i = 0; i < kConnections; ++i) {
    const Sockets pair = socket_pair();
    write_bytes(pair.theirs);
    Event connection(base, pair.ours.get(), kReadPersist, recorder.note_fired());
    connection.attach();
    base.loop(RunMode::nonblock);
    connection.modify(kReadPersist | kWritePersist);  // its answer did not fit, and then did
    connection.modify(kReadPersist);
  }
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired.size(), std::size_t{kConnections});
  EXPECT_EQ(kernel_calls(base), before + kConnections);
}

}  // namespace
}  // namespace event_cpp::test
