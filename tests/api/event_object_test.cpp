// What an event knows of itself, and what is done to it by hand.
#include <algorithm>
#include <deque>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class EventObjectTest : public EveryBackend {};

BACKEND_TEST(EventObjectTest, KnowsWhatAnEventWasMadeOf) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(
      base, pipe.reader.get(), Events::read | Events::persist, [] {}, Priority::low);

  EXPECT_EQ(&event.base(), &base);
  EXPECT_EQ(event.fd(), pipe.reader.get());
  EXPECT_EQ(event.events(), Events::read | Events::persist);
  EXPECT_EQ(event.timeout(), 0s);
  EXPECT_EQ(event.priority(), Priority::low);
  EXPECT_FALSE(event.attached());
  EXPECT_EQ(event.deadline(), std::nullopt);
}

BACKEND_TEST(EventObjectTest, KnowsWhatAnEventWaitsFor) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, [] {});

  event.attach(5s);
  EXPECT_TRUE(event.attached());
  EXPECT_EQ(event.timeout(), 5s);
  EXPECT_EQ(event.deadline(), time.now() + 5s);
  EXPECT_EQ(event.fd(), pipe.reader.get());
  event.detach();
  EXPECT_FALSE(event.attached());
  EXPECT_EQ(event.timeout(), 5s);
  EXPECT_EQ(event.deadline(), std::nullopt);
  EXPECT_EQ(event.fd(), pipe.reader.get());
}

BACKEND_TEST(EventObjectTest, HasNoDescriptorInATimerOrATicker) {
  Base base(options());
  Timer timer(base, [] {});
  Ticker ticker(base, [] {});
  timer.attach(1s);
  ticker.attach(1s);

  EXPECT_EQ(timer.fd(), -1);
  EXPECT_EQ(timer.events(), Events::timeout);
  EXPECT_EQ(ticker.fd(), -1);
  EXPECT_EQ(ticker.events(), Events::timeout | Events::persist);
}

BACKEND_TEST(EventObjectTest, TellsWhetherAnEventWasDetached) {
  Base base(options());
  Timer timer(base, Never());

  EXPECT_FALSE(timer.detach());
  timer.attach(1s);
  EXPECT_TRUE(timer.detach());
  EXPECT_FALSE(timer.detach());

  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(EventObjectTest, AttachesAndDetachesAnEventAnyNumberOfTimes) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));

  for (int i = 0; i < 1000; ++i) {
    event.attach(1h);
    if (i % 10 == 0) base.loop(RunMode::nonblock);
    EXPECT_TRUE(event.detach());
    if (i % 7 == 0) base.loop(RunMode::nonblock);
  }

  EXPECT_EQ(recorder.order.size(), 100U);
}

// assign()

BACKEND_TEST(EventObjectTest, WatchesSomethingElseAfterAssign) {
  Base base(options());
  const Pipe first = readable_pipe();
  const Sockets second = socket_pair();
  Event event(base, first.reader.get(), Events::read, recorder.note_fired());

  event.assign(second.ours.get(), Events::write | Events::persist);
  EXPECT_EQ(event.fd(), second.ours.get());
  EXPECT_EQ(event.events(), Events::write | Events::persist);
  EXPECT_EQ(event.timeout(), 0s);
  event.attach();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, Fired{Events::write});
}

BACKEND_TEST(EventObjectTest, MakesATimerOfADescriptorsEventAndBack) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach(1h);
  run(base);

  event.assign(-1, Events::timeout);
  EXPECT_EQ(event.fd(), -1);
  event.attach(1s);
  EXPECT_EQ(event.fd(), -1);
  run(base);
  event.assign(pipe.reader.get(), Events::read);
  EXPECT_EQ(event.fd(), pipe.reader.get());
  event.attach();
  run(base);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::timeout, Events::read}));
}

BACKEND_TEST(EventObjectTest, RefusesToAssignWhatIsAttached) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach(1s);

  EXPECT_EQ(thrown_by([&] { event.assign(-1, Events::timeout); }), Errc::already_attached);

  EXPECT_EQ(event.fd(), pipe.reader.get());
  EXPECT_EQ(event.events(), Events::read);
  EXPECT_EQ(event.deadline(), time.now() + 1s);
  run(base);
  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(EventObjectTest, ForgetsAnActivationWhenTheEventIsAssigned) {
  Base base(options());
  Event event(base, -1, Events::timeout, Never());

  event.activate(Events::timeout);
  event.assign(-1, Events::timeout);

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

// activate()

BACKEND_TEST(EventObjectTest, FiresByHandWhatIsNotAttached) {
  Base base(options());
  Event event(base, -1, Events::none, recorder.note_fired());

  event.activate(Events::write);
  EXPECT_EQ(recorder.fired, Fired{}) << "not inside activate()";
  EXPECT_EQ(run(base), 1U) << "what is active keeps it running";
  EXPECT_EQ(run(base), 0U);

  EXPECT_EQ(recorder.fired, Fired{Events::write});
  EXPECT_FALSE(event.attached());
}

BACKEND_TEST(EventObjectTest, FiresByHandWhatIsAttachedAsIfItWereReady) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event once(base, pipe.reader.get(), Events::read, recorder.note_fired());
  Event stays(base, pipe.reader.get(), Events::read | Events::persist, recorder.note_fired());
  once.attach(1s);
  stays.attach(1s);
  time.advance(500ms);

  once.activate(Events::read);
  stays.activate(Events::read);
  EXPECT_EQ(base.loop(RunMode::nonblock), 2U);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::read}));
  EXPECT_FALSE(once.attached());
  EXPECT_TRUE(stays.attached());
  EXPECT_EQ(stays.deadline(), time.now() + 1s) << "its timeout starts anew";
}

BACKEND_TEST(EventObjectTest, TellsWhatWasActivatedTogetherWithWhatCameTrue) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach(1s);
  time.advance(1s);

  event.activate(Events::write);
  event.activate(Events::closed);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::read | Events::write | Events::closed | Events::timeout});
}

BACKEND_TEST(EventObjectTest, IgnoresAnActivationThatNamesNoCondition) {
  Base base(options());
  Event event(base, -1, Events::timeout, Never());

  event.activate(Events::none);
  event.activate(Events::persist | Events::edge);

  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(EventObjectTest, FiresByHandInTheTurnOfItsPriority) {
  Base base(options());
  Event low(base, -1, Events::timeout, recorder.note(3), Priority::low);
  Event high(base, -1, Events::timeout, recorder.note(1), Priority::high);
  Timer middle(base, recorder.note(2));

  low.activate(Events::timeout);
  middle.attach();
  high.activate(Events::timeout);
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.order, (Order{1, 2, 3}));
}

BACKEND_TEST(EventObjectTest, FiresInTheNextIterationWhatACallbackActivates) {
  Base base(options());
  Event self(base, -1, Events::timeout, [&](Event& event, Events) {
    recorder.order.push_back(1);
    event.activate(Events::timeout);
  });

  self.activate(Events::timeout);
  for (std::size_t i = 1; i <= 5; ++i) {
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(recorder.order.size(), i);
  }
}

BACKEND_TEST(EventObjectTest, FiresNextIterationWhatAMoreUrgentCallbackActivates) {
  Base base(options());
  Event low(base, -1, Events::timeout, recorder.note(2), Priority::low);
  Timer high(
      base,
      [&] {
        recorder.order.push_back(1);
        low.activate(Events::timeout);
      },
      Priority::high);

  high.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(EventObjectTest, FiresByHandAnyNumberOfEvents) {
  Base base(options());
  std::deque<Event> events;
  for (int i = 0; i < 100'000; ++i) {
    events.emplace_back(base, -1, Events::timeout, recorder.note(i)).activate(Events::timeout);
  }

  EXPECT_EQ(base.loop(RunMode::nonblock), 100'000U);

  EXPECT_TRUE(std::is_sorted(recorder.order.begin(), recorder.order.end()));
}

BACKEND_TEST(EventObjectTest, DoesNotFireWhatWasActivatedAndThenDetached) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event attached(base, pipe.reader.get(), Events::read, Never());
  Event detached(base, -1, Events::timeout, Never());
  attached.attach();

  attached.activate(Events::read);
  detached.activate(Events::read);
  EXPECT_TRUE(attached.detach());
  EXPECT_FALSE(detached.detach());

  EXPECT_EQ(run(base), 0U);
}

}  // namespace
}  // namespace event_cpp::test
