// Descriptors that are closed while watched, and numbers that are given to other files.
#include <deque>
#include <memory>
#include <optional>

#include "support/every_backend.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

class FdReuseTest : public EveryBackend {};

// A pipe whose reader takes the number of `closing`, which is closed.
Pipe pipe_in_place_of(Fd& closing) {
  Pipe pipe = make_pipe();
  const int number = closing.get();
  closing.close();
  return {move_to(number, std::move(pipe.reader)), std::move(pipe.writer)};
}

BACKEND_TEST(FdReuseTest, WatchesANewFileOnANumberThatWasDetachedAndClosed) {
  Base base(options());
  Pipe old = readable_pipe();
  Event before(base, old.reader.get(), kReadPersist, recorder.note(1));
  before.attach();
  base.loop(RunMode::nonblock);

  before.detach();
  const Pipe fresh = pipe_in_place_of(old.reader);
  Event after(base, fresh.reader.get(), kReadPersist, recorder.note(2));
  after.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  write_bytes(fresh.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(FdReuseTest, WatchesANewFileThatGotTheNumberOfOneClosedWhileWatched) {
  for (const bool with_old_event_attached : {true, false}) {
    Base base(options());
    Pipe old = make_pipe();
    Event before(base, old.reader.get(), Events::read, [] {});
    before.attach();
    base.loop(RunMode::nonblock);
    const Pipe fresh = pipe_in_place_of(old.reader);
    if (!with_old_event_attached) before.detach();
    Event after(base, fresh.reader.get(), Events::read, recorder.note_fired());

    after.attach();
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
    write_bytes(fresh.writer);
    base.loop(RunMode::nonblock);

    EXPECT_EQ(std::exchange(recorder.fired, {}), Fired{Events::read});
  }
}

BACKEND_TEST(FdReuseTest, DoesNotFireAnOldEventForTheNewFileOnItsNumber) {
  for (const bool with_new_event : {false, true}) {
    Base base(options());
    Pipe old = make_pipe();
    Event before(base, old.reader.get(), kReadPersist, Never());
    before.attach();
    base.loop(RunMode::nonblock);

    const Pipe fresh = pipe_in_place_of(old.reader);
    write_bytes(fresh.writer);
    Event after(base, fresh.reader.get(), Events::read, recorder.note(2));
    if (with_new_event) after.attach();
    for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);

    EXPECT_EQ(std::exchange(recorder.order, {}), with_new_event ? Order{2} : Order{});
  }
}

BACKEND_TEST(FdReuseTest, WatchesAFileThatWasDuplicatedOntoAWatchedNumber) {
  Base base(options());
  Pipe old = make_pipe();
  Pipe other = make_pipe();
  const int number = old.reader.get();
  Event event(base, number, Events::read, recorder.note_fired());
  event.attach();
  base.loop(RunMode::nonblock);

  duplicate_onto(number, other.reader);
  event.detach();
  event.assign(number, Events::read);
  event.attach();
  write_bytes(other.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(FdReuseTest, WatchesTheOldFileAgainThatCameBackToItsNumber) {
  for (const bool look_between : {true, false}) {
    Base base(options());
    Pipe pipe = make_pipe();
    const int number = pipe.reader.get();
    Event before(base, number, kReadPersist, [] {});
    Ticker idle(base, [] {});
    before.attach();
    idle.attach(1h);
    base.loop(RunMode::nonblock);
    Fd kept = duplicate(pipe.reader);

    pipe.reader.close();
    before.detach();
    if (look_between) base.loop(RunMode::nonblock);
    pipe.reader = move_to(number, std::move(kept));
    Event after(base, number, Events::read, recorder.note_fired());
    after.attach();
    write_bytes(pipe.writer);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

    EXPECT_EQ(std::exchange(recorder.fired, {}), Fired{Events::read});
  }
}

BACKEND_TEST(FdReuseTest, NeedsNoCareForAOneShotEventThatFired) {
  Base base(options());
  Pipe old = readable_pipe();
  auto fired = std::make_unique<Event>(base, old.reader.get(), Events::read, recorder.note(1));
  fired->attach();
  base.loop(RunMode::nonblock);

  const Pipe fresh = pipe_in_place_of(old.reader);
  Event after(base, fresh.reader.get(), kReadPersist, recorder.note(2));
  after.attach();
  fired.reset();
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  write_bytes(fresh.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(FdReuseTest, KeepsANewEventWhenAnOldOneOnItsNumberIsDetachedOrDestroyed) {
  for (const bool destroy : {true, false}) {
    Base base(options());
    Pipe old = make_pipe();
    auto before = std::make_unique<Event>(base, old.reader.get(), kReadPersist, [] {});
    before->attach();
    base.loop(RunMode::nonblock);
    const Pipe fresh = pipe_in_place_of(old.reader);
    Event after(base, fresh.reader.get(), kReadPersist, recorder.note(2));
    after.attach();

    if (destroy) {
      before.reset();
    } else {
      before->detach();
    }
    base.loop(RunMode::nonblock);
    write_bytes(fresh.writer);
    base.loop(RunMode::nonblock);

    EXPECT_EQ(std::exchange(recorder.order, {}), Order{2});
  }
}

BACKEND_TEST(FdReuseTest, AttachesAOneShotEventAgainToTheSameFile) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, [&](Event& self, Events) {
    drain(pipe.reader);
    recorder.order.push_back(1);
    self.attach();
  });
  event.attach();

  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
    write_bytes(pipe.writer);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  }
}

BACKEND_TEST(FdReuseTest, WatchesAnotherFileOnTheSameNumberAfterAssign) {
  Base base(options());
  Pipe old = readable_pipe();
  Event event(base, old.reader.get(), Events::read, recorder.note_fired());
  event.attach();
  base.loop(RunMode::nonblock);

  const Pipe fresh = pipe_in_place_of(old.reader);
  event.assign(fresh.reader.get(), Events::read);
  event.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  write_bytes(fresh.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::read}));
}

BACKEND_TEST(FdReuseTest, WatchesTwoFilesThatSwappedTheirNumbers) {
  Base base(options());
  Pipe first = make_pipe();
  Pipe second = make_pipe();
  Event one(base, first.reader.get(), kReadPersist, recorder.note(1));
  Event two(base, second.reader.get(), kReadPersist, recorder.note(2));
  one.attach();
  two.attach();
  base.loop(RunMode::nonblock);

  one.detach();
  two.detach();
  const Fd kept = duplicate(first.reader);
  duplicate_onto(first.reader.get(), second.reader);
  duplicate_onto(second.reader.get(), kept);
  one.assign(first.reader.get(), kReadPersist);
  two.assign(second.reader.get(), kReadPersist);
  one.attach();
  two.attach();
  write_bytes(first.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.order, Order{2}) << "the second number reads the first pipe now";
}

// Closed without being detached: no crash, no spin.

BACKEND_TEST(FdReuseTest, SleepsWhenAWatchedDescriptorWasClosed) {
  for (const Events what : {Events::read, Events::write, Events::closed}) {
    Base base(watched());
    Sockets pair = socket_pair();
    write_bytes(pair.theirs);
    Event event(base, pair.ours.get(), what | Events::persist, [] {});
    event.attach();
    base.loop(RunMode::nonblock);

    pair.ours.close();
    EXPECT_TRUE(stays_asleep(base, 20ms)) << to_string(what);
    event.detach();
    EXPECT_TRUE(stays_asleep(base, 20ms)) << to_string(what);
  }
}

BACKEND_TEST(FdReuseTest, KeepsTimeWhenADescriptorWasClosedBeforeTheFirstTimer) {
  Base base(real_time());
  Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, [] {});
  event.attach();
  base.loop(RunMode::nonblock);
  Timer timer(base, recorder.note(1));

  pipe.reader.close();  // what the base opens next gets its number
  for (int i = 0; i < 3; ++i) {
    timer.attach(1ms);
    run(base, RunMode::once);
    event.detach();
  }

  EXPECT_EQ(recorder.order, (Order{1, 1, 1}));
}

BACKEND_TEST(FdReuseTest, ServesTheTimeoutOfAnEventWhoseDescriptorWasClosed) {
  Base base(options());
  Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach(1s);

  pipe.reader.close();
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

// A duplicate keeps the kernel's registration alive, and keeps it ready.

struct Stale {
  Fd duplicate;
  Fd writer;
};

// Closes the reader of a pipe with data, such that the kernel still reports it under its number.
Stale close_but_keep(Pipe pipe) {
  write_bytes(pipe.writer);
  Fd copy = duplicate(pipe.reader);
  pipe.reader.close();
  return {std::move(copy), std::move(pipe.writer)};
}

BACKEND_TEST(FdReuseTest, SleepsWhenADuplicateOfAClosedDescriptorIsReady) {
  for (const bool detach_first : {true, false}) {
    Base base(watched());
    Pipe pipe = make_pipe();
    Event event(base, pipe.reader.get(), kReadPersist, [] {});
    event.attach();
    base.loop(RunMode::nonblock);

    if (detach_first) event.detach();
    const Stale stale = close_but_keep(std::move(pipe));
    event.detach();

    EXPECT_TRUE(stays_asleep(base)) << "detached first: " << detach_first;
  }
}

BACKEND_TEST(FdReuseTest, SleepsWhenADuplicateOfADescriptorOfAnEventThatFiredIsReady) {
  Base base(watched());
  Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  event.attach();
  base.loop(RunMode::nonblock);

  const Stale stale = close_but_keep(std::move(pipe));

  EXPECT_TRUE(stays_asleep(base));
  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(FdReuseTest, SleepsWhenADuplicateIsReadyAndTheOldEventIsStillAttached) {
  Base base(watched());
  Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::closed, [] {});
  event.attach();
  base.loop(RunMode::nonblock);

  const Stale stale = close_but_keep(std::move(pipe));

  EXPECT_TRUE(stays_asleep(base));
}

BACKEND_TEST(FdReuseTest, StopsFiringForADuplicateThatIsReady) {
  enum class How { persistent, attached_again, reused, exclusive };
  for (const How how : {How::persistent, How::attached_again, How::reused, How::exclusive}) {
#ifndef NDEBUG
    if (how == How::attached_again) continue;  // that is asserted
#endif
    SCOPED_TRACE(static_cast<int>(how));
    Base base(watched());
    Pipe pipe = make_pipe();
    const int number = pipe.reader.get();
    Events options_of_it = how == How::attached_again ? Events::none : Events::persist;
    if (how == How::exclusive && base.backend() == Backend::epoll) {
      options_of_it |= Events::exclusive;
    }
    Event event(base, number, Events::read | options_of_it, [](Event& self) {
      if (!self.attached()) self.attach();
    });
    event.attach();
    const Pipe other = readable_pipe();
    int served = 0;
    Event beside(base, other.reader.get(), kReadPersist, [&] { ++served; });
    beside.attach();
    base.loop(RunMode::nonblock);

    const Stale stale = close_but_keep(std::move(pipe));
    std::optional<Fd> next;
    if (how == How::reused || how == How::exclusive) next = move_to(number, make_pipe().reader);
    for (int i = 0; i < 20'000; ++i) base.loop(RunMode::nonblock);

    EXPECT_EQ(std::exchange(served, 0), 20'001);
    const std::uint64_t before = base.stats().callbacks[1];
    for (int i = 0; i < 10; ++i) base.loop(RunMode::nonblock);
    EXPECT_EQ(base.stats().callbacks[1] - before, 10U);
    EXPECT_EQ(served, 10);
    EXPECT_TRUE(event.attached());
    beside.detach();
    EXPECT_TRUE(stays_asleep(base));
  }
}

BACKEND_TEST(FdReuseTest, DoesNotFireForADuplicateOfTheFileThatHadTheNumberBefore) {
  enum class How { detached_before_close, detached_after_close, destroyed, fired, attached };
  for (const How how : {How::detached_before_close, How::detached_after_close, How::destroyed,
                        How::fired, How::attached}) {
    SCOPED_TRACE(static_cast<int>(how));
    Base base(watched());
    Pipe pipe = make_pipe();
    Pipe next = make_pipe();
    const int number = pipe.reader.get();
    const Events options_of_old = how == How::fired ? Events::none : Events::persist;
    std::optional<Event> old(std::in_place, base, number, Events::read | options_of_old, [] {});
    old->attach();
    if (how == How::fired) write_bytes(pipe.writer);
    base.loop(RunMode::nonblock);
    if (how == How::detached_before_close) old->detach();
    const Stale stale = close_but_keep(std::move(pipe));
    if (how == How::detached_after_close) old->detach();
    if (how == How::destroyed) old.reset();

    const Fd reader = move_to(number, std::move(next.reader));
    Recorder seen;
    Event fresh(base, number, Events::read, seen.note_fired());
    fresh.attach();
    EXPECT_TRUE(stays_asleep(base));
    EXPECT_EQ(seen.fired, Fired{}) << "it has nothing to read";
    write_bytes(next.writer);
    base.loop(RunMode::nonblock);

    EXPECT_EQ(seen.fired, Fired{Events::read});
  }
}

BACKEND_TEST(FdReuseTest, WatchesADescriptorAndItsDuplicateApart) {
  Base base(watched());
  Pipe pipe = readable_pipe();
  Fd copy = duplicate(pipe.reader);
  Event one(base, pipe.reader.get(), kReadPersist, recorder.note(1));
  Event two(base, copy.get(), kReadPersist, recorder.note(2));

  one.attach();
  two.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 2U);
  one.detach();
  pipe.reader.close();
  recorder.order.clear();
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(recorder.order, Order{2});
  two.detach();

  EXPECT_TRUE(stays_asleep(base));
}

BACKEND_TEST(FdReuseTest, LosesNoOtherEventWhenTheKernelsSetIsRepaired) {
  Base base(watched());
  std::deque<Pipe> pipes;
  std::deque<Event> events;
  const Fd file = regular_file();
  int on_file = 0;
  for (int i = 0; i < 20; ++i) {
    pipes.push_back(make_pipe());
    events.emplace_back(base, pipes.back().reader.get(), kReadPersist, recorder.note(i)).attach();
  }
  Event always(base, file.get(), kReadPersist, [&] { ++on_file; });
  always.attach();
  Pipe pipe = make_pipe();
  Event old(base, pipe.reader.get(), kReadPersist, [] {});
  old.attach();
  base.loop(RunMode::nonblock);

  const Stale stale = close_but_keep(std::move(pipe));
  old.detach();
  always.detach();
  EXPECT_TRUE(stays_asleep(base));
  for (const Pipe& each : pipes) write_bytes(each.writer);
  always.attach();
  on_file = 0;
  EXPECT_EQ(base.loop(RunMode::nonblock), 21U);

  EXPECT_EQ(recorder.order.size(), 20U);
  EXPECT_EQ(on_file, 1);
}

BACKEND_TEST(FdReuseTest, KeepsTimersWhenTheKernelsSetIsRepaired) {
  Base base(real_time());
  Pipe pipe = make_pipe();
  Event old(base, pipe.reader.get(), kReadPersist, [] {});
  Ticker ticker(base, [&](Event& self, Events) {
    recorder.order.push_back(1);
    if (recorder.order.size() == 10) self.detach();
  });
  old.attach();
  ticker.attach(1ms);
  run(base, RunMode::once);

  const Stale stale = close_but_keep(std::move(pipe));
  old.detach();
  run(base);

  EXPECT_EQ(recorder.order.size(), 10U);
}

// Found by fuzzing: the new epoll set had the number of a descriptor that was closed while it was
// watched, cannot watch itself, and the child was left without a kernel side.
BACKEND_TEST(FdReuseTest, HasAKernelSideInAChildUnderNumbersClosedWhileWatched) {
  std::deque<Pipe> pipes;
  for (int i = 0; i < 8; ++i) pipes.push_back(make_pipe());
  Base base(options());  // its own numbers are higher
  std::deque<Event> events;
  for (const Pipe& pipe : pipes) {
    events.emplace_back(base, pipe.reader.get(), kReadPersist, Never()).attach();
  }
  Timer timer(base, recorder.note(1));
  timer.attach(1s);

  EXPECT_TRUE(succeeds_in_child([&] {
    for (Pipe& pipe : pipes) pipe.reader.close();
    base.after_fork();
    EXPECT_EQ(base.loop(RunMode::once), 1U);
    EXPECT_EQ(recorder.order, Order{1});
  }));
}

// Found by fuzzing: where fd() makes an epoll set, it had the number of a descriptor that was
// closed while it was watched, and the next repair of the set failed, in every iteration.
BACKEND_TEST(FdReuseTest, RepairsItsSetUnderANumberThatWasClosedWhileWatched) {
  Pipe pipe = make_pipe();
  Base base(options());  // its own numbers are higher
  Event event(base, pipe.reader.get(), kReadPersist, Never());
  event.attach();
  pipe.reader.close();
  static_cast<void>(base.fd());

  meet_stale_registration(base);

  Timer timer(base, recorder.note(1));
  timer.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

}  // namespace
}  // namespace event_cpp::test
