// An exception leaves dispatch(), and nothing is lost.
#include <deque>
#include <memory>
#include <stdexcept>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class ExceptionTest : public EveryBackend {};

struct Thrown : std::runtime_error {
  Thrown() : std::runtime_error("thrown by a callback") {}
};

BACKEND_TEST(ExceptionTest, LetsAnExceptionLeaveAndRunsTheRestNextTime) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::deque<Event> events;
  for (int i = 1; i <= 5; ++i) {
    events.emplace_back(base, pipe.reader.get(), Events::read, [&, i] {
      recorder.order.push_back(i);
      if (i == 2) throw Thrown();
    });
    events.back().attach();
  }

  EXPECT_THROW(run(base), Thrown);
  EXPECT_EQ(std::exchange(recorder.order, {}), (Order{1, 2}));
  EXPECT_FALSE(base.running());
  EXPECT_FALSE(events[1].attached()) << "one-shot";
  EXPECT_EQ(base.size(), 3U);
  EXPECT_EQ(run(base), 3U);

  EXPECT_EQ(recorder.order, (Order{3, 4, 5}));
}

BACKEND_TEST(ExceptionTest, KeepsTheOthersActiveThoughTheyAreNotReadyAnyMore) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event first(base, pipe.reader.get(), Events::read, [] { throw Thrown(); });
  Event second(base, pipe.reader.get(), Events::read, recorder.note_fired());
  Timer third(base, recorder.note_fired());
  first.attach();
  second.attach();
  third.attach();

  EXPECT_THROW(run(base), Thrown);
  drain(pipe.reader);
  EXPECT_EQ(base.loop(RunMode::nonblock), 2U);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::timeout}));
}

BACKEND_TEST(ExceptionTest, KeepsAPersistentEventAttachedAfterItsCallbackHasThrown) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  int calls = 0;
  Event event(base, pipe.reader.get(), Events::read | Events::persist, [&] {
    ++calls;
    throw Thrown();
  });
  event.attach(1h);

  for (int i = 1; i <= 3; ++i) {
    EXPECT_THROW(run(base), Thrown);
    EXPECT_EQ(calls, i);
    EXPECT_TRUE(event.attached());
    EXPECT_EQ(event.deadline(), time.now() + 1h);
  }
}

BACKEND_TEST(ExceptionTest, KeepsLowerPrioritiesActiveAfterAnException) {
  Base base(options());
  Timer low(base, recorder.note(3), Priority::low);
  Timer middle(base, recorder.note(2));
  Timer high(
      base, [] { throw Thrown(); }, Priority::high);
  for (Timer* timer : {&low, &middle, &high}) timer->attach();

  EXPECT_THROW(run(base), Thrown);
  EXPECT_EQ(recorder.order, Order{});
  run(base);

  EXPECT_EQ(recorder.order, (Order{2, 3}));
}

BACKEND_TEST(ExceptionTest, KeepsWhatWasPostedAfterAPostedFunctionHasThrown) {
  Base base(options());
  const auto shared = std::make_shared<int>(0);
  base.post(recorder.note(1));
  base.post([shared] { throw Thrown(); });
  base.post(recorder.note(3));
  base.post(recorder.note(4));

  EXPECT_THROW(run(base), Thrown);
  EXPECT_EQ(shared.use_count(), 1) << "a function that has run is gone";
  EXPECT_EQ(run(base), 2U);

  EXPECT_EQ(recorder.order, (Order{1, 3, 4}));
}

BACKEND_TEST(ExceptionTest, FreesAnOwnedEventWhoseCallbackHasThrown) {
  Base base(options());
  const auto shared = std::make_shared<int>(0);
  base.after(1s, [shared] { throw Thrown(); });
  base.after(1s, recorder.note(2));

  EXPECT_THROW(run(base), Thrown);
  EXPECT_EQ(shared.use_count(), 1);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, Order{2});
}

BACKEND_TEST(ExceptionTest, LetsACallbackThrowAfterDestroyingItsEvent) {
  Base base(options());
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(base, [&timer] {
    timer.reset();
    throw Thrown();
  });
  Timer next(base, recorder.note(2));

  timer->attach();
  next.attach();
  EXPECT_THROW(run(base), Thrown);
  run(base);

  EXPECT_EQ(recorder.order, Order{2});
}

BACKEND_TEST(ExceptionTest, LetsEveryCallbackOfABatchThrow) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::deque<Event> events;
  for (int i = 0; i < 20; ++i) {
    events.emplace_back(base, pipe.reader.get(), Events::read, [&, i] {
      recorder.order.push_back(i);
      throw Thrown();
    });
    events.back().attach();
  }

  for (int i = 0; i < 20; ++i) EXPECT_THROW(run(base), Thrown);

  EXPECT_EQ(recorder.order.size(), 20U);
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(ExceptionTest, LetsTheRestOfAnAbandonedBatchBeDestroyed) {
  const Pipe pipe = readable_pipe();
  Base base(options());
  Event thrower(base, pipe.reader.get(), Events::read, [] { throw Thrown(); });
  auto active = std::make_unique<Event>(base, pipe.reader.get(), Events::read, Never());
  thrower.attach();
  active->attach();
  EXPECT_THROW(run(base), Thrown);

  active.reset();

  EXPECT_EQ(run(base), 0U);
}

}  // namespace
}  // namespace event_cpp::test
