// What attach() accepts, refuses and leaves alone.
#include <fcntl.h>

#include <deque>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class AttachTest : public EveryBackend {};

BACKEND_TEST(AttachTest, CountsATimeoutThatIsNotInTheMask) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  const TimePoint start = time.now();

  event.attach(1s);
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
  EXPECT_EQ(time.now(), start + 1s);
}

BACKEND_TEST(AttachTest, WaitsForEverWithoutATimeout) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, Never());
  Timer year(base, [] {});

  event.attach();
  year.attach(24h * 365);
  EXPECT_EQ(event.deadline(), std::nullopt);
  run(base, RunMode::once);

  EXPECT_FALSE(year.attached());
  EXPECT_TRUE(event.attached());
}

BACKEND_TEST(AttachTest, ExpiresAtOnceIfTheMaskHasATimeoutAndTheTimeIsZero) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::timeout, recorder.note_fired());

  event.attach();
  EXPECT_TRUE(recorder.fired.empty()) << "not inside attach()";
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

BACKEND_TEST(AttachTest, FiresOnlyForTheTimeoutIfNothingElseIsAskedFor) {
  Base base(options());
  Sockets pair = socket_pair();
  Event event(base, pair.ours.get(), Events::timeout, recorder.note_fired());

  event.attach(1s);
  pair.theirs.close();
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

BACKEND_TEST(AttachTest, RefusesToAttachTwice) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach(1s);

  EXPECT_EQ(event.try_attach(1h), Errc::already_attached);
  EXPECT_EQ(thrown_by([&] { event.attach(1h); }), Errc::already_attached);

  EXPECT_EQ(event.timeout(), 1s);
  EXPECT_EQ(event.deadline(), time.now() + 1s);
  EXPECT_EQ(base.size(), 1U);
  run(base);
  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

BACKEND_TEST(AttachTest, RefusesAnEventWithNothingToWaitFor) {
  Base base(options());
  const Pipe pipe = make_pipe();
  for (const Events options : {Events::none, Events::persist, Events::edge}) {
    Event with(base, pipe.reader.get(), options, Never());
    Event without(base, -1, options, Never());

    EXPECT_EQ(with.try_attach(), Errc::nothing_to_wait_for) << to_string(options);
    EXPECT_EQ(without.try_attach(), Errc::nothing_to_wait_for) << to_string(options);
    EXPECT_EQ(without.try_rearm(0s), Errc::nothing_to_wait_for) << to_string(options);
    EXPECT_EQ(thrown_by([&] { without.attach(); }), Errc::nothing_to_wait_for);
  }
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(AttachTest, RefusesAConditionOfADescriptorWithoutADescriptor) {
  Base base(options());
  for (const Events what : {Events::read, Events::write, Events::closed}) {
    Event event(base, -1, what | Events::timeout, Never());

    EXPECT_EQ(event.try_attach(1s), Errc::descriptor_missing) << to_string(what);
    EXPECT_FALSE(event.attached());
  }
  EXPECT_EQ(thrown_by([&] { base.once(-1, Events::read, 1s, Never()); }), Errc::descriptor_missing);
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(AttachTest, ReportsADescriptorThatIsNotOpenFromAttach) {
  Base base(options());
  const int number = closed_number();
  for (const Events what :
       {Events::read, Events::write, Events::closed, Events::read | Events::write}) {
    Event event(base, number, what, Never());

    EXPECT_EQ(event.try_attach(), system_error(EBADF)) << to_string(what);
    EXPECT_EQ(thrown_by([&] { event.attach(1s); }), system_error(EBADF)) << to_string(what);
  }
  EXPECT_EQ(thrown_by([&] { base.once(number, Events::read, 0s, Never()); }), system_error(EBADF));
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(AttachTest, ReportsANumberFarBeyondAnyDescriptorFromAttach) {
  Base base(options());
  Event event(base, 2'000'000'000, Events::read, Never());

  EXPECT_EQ(event.try_attach(), system_error(EBADF));
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(AttachTest, ReportsAClosedDescriptorAlsoIfAnOldEventIsStillAttachedToIt) {
  Base base(options());
  Pipe pipe = make_pipe();
  Event old(base, pipe.reader.get(), Events::read, [] {});
  old.attach();
  Event fresh(base, pipe.reader.get(), Events::read, Never());

  pipe.reader.close();

  EXPECT_EQ(fresh.try_attach(), system_error(EBADF));
  EXPECT_FALSE(fresh.attached());
}

BACKEND_TEST(AttachTest, ChangesNothingIfAttachFails) {
  Base base(options());
  const int number = closed_number();
  Event event(base, number, Events::read | Events::timeout, recorder.note_fired());

  EXPECT_EQ(event.try_attach(1s), system_error(EBADF));

  EXPECT_FALSE(event.attached());
  EXPECT_EQ(event.deadline(), std::nullopt);
  EXPECT_EQ(event.timeout(), 0s);
  EXPECT_FALSE(event.detach());
  EXPECT_EQ(base.size(), 0U);
  time.advance(1h);
  EXPECT_EQ(run(base), 0U) << "no timer was left behind";
}

BACKEND_TEST(AttachTest, AttachesAnEventThatFailedOnceItsDescriptorIsRight) {
  Base base(options());
  const int number = closed_number();
  Event event(base, number, Events::read, recorder.note_fired());
  EXPECT_EQ(event.try_attach(), system_error(EBADF));
  Pipe pipe = readable_pipe();
  const Fd reader = move_to(number, std::move(pipe.reader));

  event.attach();
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(AttachTest, AsksForEdgesOnlyWhereTheBackendHasThem) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::edge, recorder.note_fired());

  const std::error_code error = event.try_attach();

  if (GetParam() == Backend::poll) {
    EXPECT_EQ(error, Errc::unsupported);
    EXPECT_FALSE(event.attached());
    EXPECT_EQ(run(base), 0U);
  } else {
    EXPECT_EQ(error, std::error_code());
    run(base);
    EXPECT_EQ(recorder.fired, Fired{Events::read});
  }
}

// Several events on one descriptor.

BACKEND_TEST(AttachTest, FiresEveryEventOnADescriptorInTheOrderOfAttaching) {
  Base base(options());
  const Sockets pair = socket_pair();
  write_bytes(pair.theirs);
  std::deque<Event> events;
  for (int i = 0; i < 9; ++i) {
    const Events what = i % 3 == 0   ? Events::read
                        : i % 3 == 1 ? Events::write
                                     : Events::read | Events::write;
    events.emplace_back(base, pair.ours.get(), what | Events::persist, recorder.note(i));
  }

  for (int i : {4, 0, 8, 1, 7, 2, 6, 3, 5}) events[static_cast<std::size_t>(i)].attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 9U);

  EXPECT_EQ(recorder.order, (Order{4, 0, 8, 1, 7, 2, 6, 3, 5}));
}

BACKEND_TEST(AttachTest, FiresWhatIsAttachedAgainAfterTheOthersOnItsDescriptor) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::deque<Event> events;
  for (int i = 0; i < 3; ++i) {
    events.emplace_back(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(i));
    events.back().attach();
  }

  events[0].detach();
  events[0].attach();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.order, (Order{1, 2, 0}));
}

BACKEND_TEST(AttachTest, KeepsTheOtherEventsOnADescriptorWhicheverAreDetached) {
  constexpr int kEvents = 4;
  for (unsigned gone = 0; gone < 1U << kEvents; ++gone) {
    Base base(options());
    const Sockets pair = socket_pair();
    write_bytes(pair.theirs);
    Recorder seen;
    Order expected;
    std::deque<Event> events;
    for (int i = 0; i < kEvents; ++i) {
      const Events what = i % 2 == 0 ? Events::read : Events::write;
      events.emplace_back(base, pair.ours.get(), what | Events::persist, seen.note(i)).attach();
    }

    for (int i = 0; i < kEvents; ++i) {
      if ((gone >> i & 1U) != 0) {
        EXPECT_TRUE(events[static_cast<std::size_t>(i)].detach());
      } else {
        expected.push_back(i);
      }
    }
    EXPECT_EQ(base.loop(RunMode::nonblock), expected.size());

    EXPECT_EQ(seen.order, expected) << "without the events of the set " << gone;
  }
}

BACKEND_TEST(AttachTest, LeavesTheFlagsOfADescriptorAsTheyAre) {
  Base base(options());
  for (const int flags : {0, O_NONBLOCK, O_NONBLOCK | O_APPEND}) {
    for (const int on_exec : {0, FD_CLOEXEC}) {
      const Sockets pair = socket_pair();
      ::fcntl(pair.ours.get(), F_SETFL, flags);
      ::fcntl(pair.ours.get(), F_SETFD, on_exec);
      const int before = ::fcntl(pair.ours.get(), F_GETFL);
      Event event(base, pair.ours.get(), Events::read | Events::write | Events::persist, [] {});

      event.attach(1s);
      run(base, RunMode::once);
      EXPECT_EQ(::fcntl(pair.ours.get(), F_GETFL), before);
      EXPECT_EQ(::fcntl(pair.ours.get(), F_GETFD), on_exec);
      event.detach();
      base.loop(RunMode::nonblock);
      EXPECT_EQ(::fcntl(pair.ours.get(), F_GETFL), before);
      EXPECT_EQ(::fcntl(pair.ours.get(), F_GETFD), on_exec);
    }
  }
}

BACKEND_TEST(AttachTest, ThrowsTheErrorThatTryAttachReturns) {
  Base base(options());
  Event nothing(base, -1, Events::none, Never());
  Event closed(base, closed_number(), Events::read, Never());
  for (Event* event : {&nothing, &closed}) {
    const std::error_code error = event->try_attach();

    EXPECT_TRUE(error);
    EXPECT_EQ(thrown_by([&] { event->attach(); }), error);
  }
}

}  // namespace
}  // namespace event_cpp::test
