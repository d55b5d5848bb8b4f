// When an event fires and what its callback is told.
#include <array>
#include <deque>
#include <memory>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class FireTest : public EveryBackend {};

BACKEND_TEST(FireTest, TellsAnEventOnlyWhatItAskedFor) {
  Base base(options());
  const Sockets pair = socket_pair();
  write_bytes(pair.theirs);
  for (const Events what : {Events::read, Events::write, Events::read | Events::write}) {
    Recorder seen;
    Event event(base, pair.ours.get(), what, seen.note_fired());

    event.attach();
    base.loop(RunMode::nonblock);

    EXPECT_EQ(seen.fired, Fired{what});
  }
}

BACKEND_TEST(FireTest, TellsEachEventOnADescriptorOnlyWhatThatOneAskedFor) {
  Base base(options());
  const Sockets pair = socket_pair();
  write_bytes(pair.theirs);
  Event reader(base, pair.ours.get(), Events::read, recorder.note_fired());
  Event writer(base, pair.ours.get(), Events::write, recorder.note_fired());
  Event both(base, pair.ours.get(), Events::read | Events::write, recorder.note_fired());
  Event closed(base, pair.ours.get(), Events::closed, Never());

  for (Event* event : {&reader, &writer, &both, &closed}) event->attach();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::write, Events::read | Events::write}));
}

BACKEND_TEST(FireTest, TellsReadinessAndTimeoutInOneCall) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::timeout, recorder.note_fired());
  event.attach(1s);

  write_bytes(pipe.writer);
  time.advance(1s);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::read | Events::timeout});
}

BACKEND_TEST(FireTest, EndsTheTimeoutOfAOneShotEventThatGotReady) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());

  event.attach(1s);
  run(base);
  time.advance(1h);
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
  EXPECT_EQ(event.deadline(), std::nullopt);
}

BACKEND_TEST(FireTest, EndsTheWatchOfAOneShotEventThatTimedOut) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());

  event.attach(1s);
  run(base);
  write_bytes(pipe.writer);

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

BACKEND_TEST(FireTest, DetachesAOneShotEventBeforeItsCallbackRuns) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, [&](Event& self, Events) {
    EXPECT_FALSE(self.attached());
    EXPECT_EQ(base.size(), 0U);
    EXPECT_FALSE(self.detach());
    recorder.order.push_back(1);
  });

  event.attach();
  EXPECT_EQ(run(base), 1U) << "it returns, as nothing is attached any more";

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(FireTest, FiresInTheNextIterationWhatItsCallbackAttachedAgain) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, [&](Event& self, Events fired) {
    recorder.fired.push_back(fired);
    self.attach();
  });

  event.attach();
  for (std::size_t i = 1; i <= 100; ++i) {
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(recorder.fired.size(), i);
  }
  drain(pipe.reader);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(FireTest, LetsAOneShotEventWatchSomethingElseInItsCallback) {
  Base base(options());
  const Pipe first = readable_pipe();
  const Sockets second = socket_pair();
  Event event(base, first.reader.get(), Events::read, [&](Event& self, Events fired) {
    recorder.fired.push_back(fired);
    if (recorder.fired.size() > 1) return;
    self.assign(second.ours.get(), Events::write | Events::timeout);
    self.set_priority(Priority::high);
    self.attach(1h);
  });

  event.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::write}));
  EXPECT_EQ(event.priority(), Priority::high);
}

BACKEND_TEST(FireTest, KeepsAPersistentEventAttached) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist,
              [&](Event& self, Events fired) {
                recorder.fired.push_back(fired);
                EXPECT_TRUE(self.attached());
                EXPECT_EQ(self.try_attach(), Errc::already_attached);
                if (recorder.fired.size() == 3) self.detach();
              });

  event.attach();
  run(base);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::read, Events::read}));
}

BACKEND_TEST(FireTest, FiresAgainWhileSomethingIsLeftToRead) {
  Base base(options());
  const Pipe pipe = make_pipe();
  write_bytes(pipe.writer, 10);
  int calls = 0;
  Event event(base, pipe.reader.get(), Events::read | Events::persist, [&] {
    ++calls;
    read_bytes(pipe.reader);
  });

  event.attach();
  while (base.loop(RunMode::nonblock) > 0) {
  }

  EXPECT_EQ(calls, 10);
}

BACKEND_TEST(FireTest, FiresOncePerChangeWithEdge) {
  if (GetParam() == Backend::poll) GTEST_SKIP() << "poll reports levels only";
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::edge | Events::persist,
              recorder.note_fired());

  event.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  write_bytes(pipe.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(FireTest, ReportsLevelsWhereNotEveryEventOnTheDescriptorAsksForEdges) {
  if (GetParam() == Backend::poll) GTEST_SKIP() << "poll reports levels only";
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event edge(base, pipe.reader.get(), Events::read | Events::edge | Events::persist, [] {});
  Event level(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));

  edge.attach();
  level.attach();
  for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.order, (Order{1, 1, 1}));
}

BACKEND_TEST(FireTest, FiresInTheNextIterationAtTheEarliestWhatACallbackAttached) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event second(base, pipe.reader.get(), Events::read, recorder.note(2), Priority::low);
  Event first(base, pipe.reader.get(), Events::read, [&] {
    recorder.order.push_back(1);
    second.attach();
  });

  first.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(FireTest, AcceptsCallbacksThatWantTheEventOrWhatFiredOrNothing) {
  Base base(options());
  Event* seen = nullptr;
  Events fired = Events::none;
  Timer all(base, [&](Event& self, Events) { seen = &self; });
  Timer bits(base, [&](Events what) { fired = what; });
  Timer nothing(base, recorder.note(3));

  for (Timer* timer : {&all, &bits, &nothing}) timer->attach(1s);
  run(base);

  EXPECT_EQ(seen, &all);
  EXPECT_EQ(fired, Events::timeout);
  EXPECT_EQ(recorder.order, Order{3});
}

BACKEND_TEST(FireTest, KeepsACallableOfAnySizeForAsLongAsTheEvent) {
  Base base(options());
  const auto owned = std::make_shared<int>(0);
  {
    Timer large(base, [owned, padding = std::array<char, 200>()] { *owned += padding[0] + 1; });
    Timer move_only(base, [keep = std::make_unique<std::shared_ptr<int>>(owned)] { ++**keep; });
    large.attach();
    move_only.attach();
    run(base);
    EXPECT_EQ(owned.use_count(), 3);
  }
  EXPECT_EQ(*owned, 2);
  EXPECT_EQ(owned.use_count(), 1);
}

// Nobody wants what the kernel reports: no busy loop.

BACKEND_TEST(FireTest, SleepsWhileAOneShotEventThatFiredIsNotAttachedAgain) {
  Base base(watched());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());

  event.attach();

  EXPECT_TRUE(stays_asleep(base));
  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(FireTest, UsesNoProcessorWhileNobodyWantsWhatIsReady) {
  Base base(real_time());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach();
  base.stop_after(300ms);

  run(base, RunMode::keep_alive);

  EXPECT_LE(base.stats().waits, 5U) << "it sleeps in one of them";
}

BACKEND_TEST(FireTest, SleepsWhenTheDirectionThatIsReadyIsNotWantedAnyMore) {
  Base base(watched());
  const Sockets pair = socket_pair();
  Event reader(base, pair.ours.get(), Events::read | Events::persist, recorder.note_fired());
  Event writer(base, pair.ours.get(), Events::write | Events::persist, recorder.note_fired());

  reader.attach();
  writer.attach();
  base.loop(RunMode::nonblock);
  writer.detach();

  EXPECT_TRUE(stays_asleep(base));
  EXPECT_EQ(recorder.fired, Fired{Events::write});
  write_bytes(pair.theirs);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U) << "the other direction is still watched";
}

BACKEND_TEST(FireTest, SleepsWhenEveryEventOnADescriptorWithoutAPeerIsDetached) {
  Base base(watched());
  Sockets pair = socket_pair();
  Event reader(base, pair.ours.get(), Events::read | Events::persist, [] {});
  Event writer(base, pair.ours.get(), Events::write | Events::persist, [] {});
  reader.attach();
  writer.attach();
  pair.theirs.close();
  base.loop(RunMode::nonblock);

  reader.detach();
  base.loop(RunMode::nonblock);
  writer.detach();

  EXPECT_TRUE(stays_asleep(base));
}

BACKEND_TEST(FireTest, SleepsWhenAnEventOnADescriptorWithoutAPeerWantsOnlyATime) {
  Base base(watched());
  Sockets pair = socket_pair();
  Event reader(base, pair.ours.get(), Events::read, recorder.note_fired());
  Event idle(base, pair.ours.get(), Events::timeout, Never());

  reader.attach();
  idle.attach(1h);
  pair.theirs.close();

  EXPECT_TRUE(stays_asleep(base));
  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(FireTest, FiresAgainAfterTheKernelWasToldToStopReporting) {
  Base base(watched());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());

  for (int i = 0; i < 3; ++i) {
    event.attach();
    EXPECT_TRUE(stays_asleep(base, 10ms));
  }

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::read, Events::read}));
}

}  // namespace
}  // namespace event_cpp::test
