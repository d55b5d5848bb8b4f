// Hooks: functions that the loop calls each time round.
#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>

#include "support/every_backend.hpp"
#include "support/tracked.hpp"

namespace event_cpp::test {
namespace {

class HookTest : public EveryBackend {};

using When = Hook::When;

BACKEND_TEST(HookTest, CallsHooksBeforeTheWaitAndAfterItBeforeAnyCallback) {
  Base base(options());
  Timer timer(base, recorder.note(2));
  Hook after(base, When::after_wait, recorder.note(1));
  Hook before(base, When::before_wait, recorder.note(0));

  timer.attach(1s);
  EXPECT_EQ(run(base), 1U) << "hooks are not counted";

  EXPECT_EQ(recorder.order, (Order{0, 1, 2}));
}

BACKEND_TEST(HookTest, CallsHooksOfAKindInTheOrderInWhichTheyWereMade) {
  Base base(options());
  std::deque<Hook> hooks;
  for (int i = 0; i < 4; ++i) hooks.emplace_back(base, When::before_wait, recorder.note(i));

  base.loop(RunMode::nonblock | RunMode::keep_alive);
  base.loop(RunMode::nonblock | RunMode::keep_alive);

  EXPECT_EQ(recorder.order, (Order{0, 1, 2, 3, 0, 1, 2, 3}));
}

BACKEND_TEST(HookTest, CallsHooksOncePerIterationAlsoWithSlices) {
  Options sliced = options();
  sliced.slice = 1;
  Base base(sliced);
  const Pipe pipe = readable_pipe();
  Event urgent(
      base, pipe.reader.get(), Events::read | Events::persist, [] {}, Priority::high);
  urgent.attach();
  std::deque<Event> events;
  for (int i = 0; i < 5; ++i) {
    events.emplace_back(base, pipe.reader.get(), Events::read, [] {});
    events.back().attach();
  }
  Hook before(base, When::before_wait, recorder.note(0));
  Hook after(base, When::after_wait, recorder.note(1));

  base.loop(RunMode::nonblock);

  EXPECT_GT(base.stats().iterations, 1U) << "it looked between slices";
  EXPECT_EQ(recorder.order, (Order{0, 1}));
}

BACKEND_TEST(HookTest, CountsWhatAHookAttachesBeforeTheWait) {
  Base base(real_time());
  Timer timer(base, recorder.note(1));
  Event other(base, -1, Events::timeout, recorder.note(3));
  std::optional<Hook> hook;
  const Pipe pipe = make_pipe();
  Event quiet(base, pipe.reader.get(), Events::read, Never());
  quiet.attach();
  hook.emplace(base, When::before_wait, [&] {
    timer.attach(1ms);
    other.activate(Events::timeout);
    base.post(recorder.note(2));
    hook.reset();
  });

  // On a machine that is slow the timer is due as soon as the rest.
  while (recorder.order.size() < 3) base.loop(RunMode::once);

  EXPECT_EQ(recorder.order.front(), 3);
  std::sort(recorder.order.begin(), recorder.order.end());
  EXPECT_EQ(recorder.order, (Order{1, 2, 3}));
}

BACKEND_TEST(HookTest, SeesWhatIsActiveInAHookAfterTheWaitAndMayDetachIt) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event first(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));
  auto second = std::make_unique<Event>(base, pipe.reader.get(), Events::read, Never());
  first.attach();
  second->attach();
  Hook hook(base, When::after_wait, [&] {
    EXPECT_EQ(base.stats().active, 2U);
    second.reset();
    base.stop();
  });

  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(HookTest, CallsIdleHooksOnlyWhenNothingOfAnyPriorityIsActive) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event low(
      base, pipe.reader.get(), Events::read | Events::persist,
      [&] {
        recorder.order.push_back(1);
        if (recorder.order.size() == 3) drain(pipe.reader);
      },
      Priority::low);
  low.attach();
  Hook idle(base, When::idle, [&] {
    recorder.order.push_back(2);
    if (recorder.order.size() == 6) base.stop();
  });

  EXPECT_EQ(run(base), 6U) << "idle work is counted";

  EXPECT_EQ(recorder.order, (Order{1, 1, 1, 2, 2, 2}));
}

BACKEND_TEST(HookTest, DoesNotSleepWhileThereIsAnIdleHook) {
  Base base(real_time());
  const Pipe pipe = make_pipe();
  Event quiet(base, pipe.reader.get(), Events::read, Never());
  quiet.attach();
  Timer far(base, Never());
  far.attach(24h);
  int rounds = 0;
  Hook idle(base, When::idle, [&] {
    if (++rounds == 100) base.stop();
  });

  run(base);

  EXPECT_EQ(rounds, 100);
}

BACKEND_TEST(HookTest, MovesAManualTimeOnceTheIdleHooksHaveRun) {
  Base base(options());
  int idle = 0;
  Hook hook(base, When::idle, [&] { ++idle; });
  Timer timer(base, [&] { base.stop(); });
  Alarm alarm(base, recorder.note(1));
  timer.attach(24h);
  alarm.attach(time.wall() + 1h);

  run(base);

  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(idle, 2) << "before each of them";
}

// Found by fuzzing: with any hook, a nonblocking loop that found nothing moved the time.
BACKEND_TEST(HookTest, LeavesAManualTimeAloneWhileItIsNotToWait) {
  for (const When when : {When::before_wait, When::after_wait, When::idle}) {
    Base base(options());
    Hook hook(base, when, [] {});
    Timer timer(base, Never());
    timer.attach(1h);
    const TimePoint began = time.now();

    base.loop(RunMode::nonblock);

    EXPECT_EQ(time.now(), began);
  }
}

// Found by fuzzing: the time went on to a timer that does not keep the base alive.
BACKEND_TEST(HookTest, LeavesAManualTimeAloneWhenAHookDetachesWhatKeepsItAlive) {
  Base base(options());
  Timer kept(base, Never());
  Timer other(base, Never());
  other.keep_alive(false);
  Hook hook(base, When::after_wait, [&] { kept.detach(); });
  kept.attach(1h);
  other.attach(2h);
  const TimePoint began = time.now();

  EXPECT_EQ(run(base), 0U);

  EXPECT_EQ(time.now(), began + 1h);
}

BACKEND_TEST(HookTest, SleepsAgainWhenTheIdleHookIsGone) {
  Base base(watched());
  auto idle = std::make_unique<Hook>(base, When::idle, [] {});
  base.post([&] { idle.reset(); });

  base.loop(RunMode::once);

  EXPECT_TRUE(stays_asleep(base));
}

BACKEND_TEST(HookTest, IsKeptAliveByIdleHooksAndByNoOthers) {
  Base base(options());
  Hook before(base, When::before_wait, [&] { recorder.order.push_back(0); });
  Hook after(base, When::after_wait, [] {});
  EXPECT_EQ(run(base), 0U);
  EXPECT_EQ(recorder.order, Order{});

  std::optional<Hook> idle;
  idle.emplace(base, When::idle, [&] { idle.reset(); });
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(base.size(), 0U) << "a hook is no event";
}

BACKEND_TEST(HookTest, DoesNotWaitWhenAHookDetachesTheLastEvent) {
  Base base(real_time());
  Timer timer(base, Never());
  Hook hook(base, When::before_wait, [&] { timer.detach(); });
  timer.attach(1h);

  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(HookTest, CallsEachIdleHookOnceEachTimeRoundAndEndsOnceAfterThem) {
  Base base(options());
  Hook first(base, When::idle, recorder.note(1));
  Hook second(base, When::idle, recorder.note(2));

  EXPECT_EQ(run(base, RunMode::once), 2U);
  EXPECT_EQ(run(base, RunMode::nonblock), 2U);

  EXPECT_EQ(recorder.order, (Order{1, 2, 1, 2}));
}

BACKEND_TEST(HookTest, LetsAHookDestroyItselfAndItsNeighbours) {
  for (int killer = 0; killer < 3; ++killer) {
    for (int victim = 0; victim < 3; ++victim) {
      Base base(options());
      Order ran;
      std::array<std::optional<Hook>, 3> hooks;
      for (int i = 0; i < 3; ++i) {
        hooks[static_cast<std::size_t>(i)].emplace(base, When::before_wait, [&, i] {
          ran.push_back(i);
          if (i == killer) hooks[static_cast<std::size_t>(victim)].reset();
        });
      }
      base.loop(RunMode::nonblock | RunMode::keep_alive);

      Order expected;
      for (int i = 0; i < 3; ++i) {
        if (i != victim || victim <= killer) expected.push_back(i);
      }
      EXPECT_EQ(ran, expected) << killer << " destroys " << victim;
    }
  }
}

BACKEND_TEST(HookTest, CallsAHookThatAHookHasMadeFromTheNextTimeOn) {
  Base base(options());
  std::deque<Hook> made;
  Hook hook(base, When::idle, [&] {
    recorder.order.push_back(0);
    if (made.size() < 2) made.emplace_back(base, When::idle, recorder.note(1));
  });

  for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.order, (Order{0, 0, 1, 0, 1, 1}));
}

BACKEND_TEST(HookTest, TellsAHookWhichOneItIs) {
  Base base(options());
  std::optional<Hook> hook;
  hook.emplace(base, When::idle, [&](Hook& self) {
    EXPECT_EQ(&self, &*hook);
    EXPECT_EQ(self.when(), When::idle);
    hook.reset();
  });

  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(HookTest, LetsAnExceptionOfAHookLeaveAndGoesOnNextTime) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  event.attach();
  for (const When when : {When::before_wait, When::after_wait}) {
    const Hook hook(base, when, [] { throw std::runtime_error("hook"); });
    EXPECT_THROW(base.loop(RunMode::nonblock), std::runtime_error);
    EXPECT_FALSE(base.running());
  }
  EXPECT_EQ(recorder.order, Order{});

  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(HookTest, StopsWhenAHookSaysSo) {
  Base base(options());
  Event event(base, -1, Events::timeout, recorder.note(1));
  for (const When when : {When::before_wait, When::after_wait, When::idle}) {
    const Hook hook(base, when, [&] { base.stop(); });
    Timer soon(base, [] {});
    soon.attach(1s);
    run(base, RunMode::keep_alive);
  }
  event.activate(Events::timeout);
  const Hook at_once(base, When::after_wait, [&] { base.stop_now(); });
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(HookTest, LetsHooksAndBaseGoInEitherOrder) {
  auto base = std::make_unique<Base>(options());
  int alive = 0;
  std::deque<Hook> hooks;
  for (const When when : {When::before_wait, When::after_wait, When::idle}) {
    hooks.emplace_back(*base, when, Tracked(alive));
  }
  hooks.pop_front();
  base->loop(RunMode::nonblock);
  base.reset();
  EXPECT_EQ(alive, 2);

  hooks.clear();
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace event_cpp::test
