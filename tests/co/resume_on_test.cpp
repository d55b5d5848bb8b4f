// resume_on(): tasks that go on in the threads of other bases.
#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "co/support.hpp"
#include "support/failing_new.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

// A base that runs in a thread of its own.
class BaseInThread {
 public:
  explicit BaseInThread(const Options& options) : base_(options) {
    thread_ = std::thread([this] { base_.loop(RunMode::keep_alive); });
  }
  ~BaseInThread() {
    base_.stop();
    thread_.join();
  }
  BaseInThread(const BaseInThread&) = delete;
  BaseInThread& operator=(const BaseInThread&) = delete;

  Base& base() { return base_; }
  std::thread::id id() const { return thread_.get_id(); }

 private:
  Base base_;
  std::thread thread_;
};

// Not inline: clang before version 17 remembers in a coroutine which thread ran it first.
[[gnu::noinline]] std::thread::id this_thread() {
  asm volatile("");
  return std::this_thread::get_id();
}

Task<> yields() { co_await co::yield(); }

class ResumeOnTest : public EveryBackendCo {
 protected:
  static Task<> joins(TaskGroup& group) { co_await group.join(); }
  static Task<> sleeps_long() { co_await co::sleep(1h); }
  // So often that each can tell the other something and be answered.
  static void run_both(Base& first, Base& second) {
    for (int i = 0; i < 4; ++i) {
      first.loop(RunMode::nonblock);
      second.loop(RunMode::nonblock);
    }
  }
};

BACKEND_TEST(ResumeOnTest, GoesOnInTheThreadOfTheOtherBaseAndBack) {
  BaseInThread other(real_time());
  Base base(real_time());
  const auto travels = [](Base& home, BaseInThread& away) -> Task<int> {
    const std::thread::id here = this_thread();
    for (int i = 0; i < 50; ++i) {
      co_await co::resume_on(away.base());
      EXPECT_EQ(this_thread(), away.id());
      Base& now = co_await co::base();
      EXPECT_EQ(&now, &away.base());
      co_await yields();  // a frame from the other thread's memory
      co_await co::resume_on(home);
      EXPECT_EQ(this_thread(), here);
      co_await yields();
      co_await co::resume_on(home);
    }
    co_return 50;
  };
  EXPECT_EQ(run_task(base, travels(base, other)), 50);
}

BACKEND_TEST(ResumeOnTest, TellsItsEndAndItsFailureAtHome) {
  BaseInThread other(real_time());
  Base base(real_time());
  const auto ends_away = [](Base& away, bool fails) -> Task<> {
    co_await co::resume_on(away);
    if (fails) throw std::runtime_error("away");
  };
  const Bounded bounded(base);
  TaskGroup group(base);
  group.spawn(ends_away(other.base(), false));
  base.dispatch();
  EXPECT_EQ(group.size(), 0U);
  group.spawn(ends_away(other.base(), true));
  EXPECT_THROW(base.dispatch(), std::runtime_error);
  EXPECT_THROW(co::run(base, joins(group)), std::runtime_error);
}

BACKEND_TEST(ResumeOnTest, GoesFromOneOtherBaseToTheNext) {
  BaseInThread second(real_time());
  BaseInThread third(real_time());
  Base base(real_time());
  const auto travels = [](BaseInThread& two, BaseInThread& three) -> Task<int> {
    int stops = 0;
    for (int i = 0; i < 20; ++i) {
      co_await co::resume_on(two.base());
      stops += this_thread() == two.id();
      co_await co::resume_on(three.base());
      stops += this_thread() == three.id();
    }
    co_return stops;
  };
  EXPECT_EQ(run_task(base, travels(second, third)), 40);
}

BACKEND_TEST(ResumeOnTest, IsCancelledWhereverItIs) {
  BaseInThread other(real_time());
  Base base(real_time());
  const auto waits_away = [](Base& away) -> Task<> {
    co_await co::resume_on(away);
    co_await co::sleep(1h);
  };
  const Bounded bounded(base);
  for (int i = 0; i < 50; ++i) {
    TaskGroup group(base);
    group.spawn(waits_away(other.base()));
    if (i % 3 > 0) base.loop(RunMode::nonblock);
    if (i % 3 > 1) std::this_thread::sleep_for(1ms);
    group.cancel();
    co::run(base, joins(group));
    EXPECT_EQ(group.size(), 0U);
  }
}

BACKEND_TEST(ResumeOnTest, ComesHomeFromWithinALimitThatEndsIt) {
  BaseInThread other(real_time());
  Base base(real_time());
  const auto waits_away = [](Base& away) -> Task<> {
    co_await co::resume_on(away);
    co_await co::sleep(1h);
  };
  const auto limited = [](Task<> task) -> Task<> {
    const std::thread::id here = this_thread();
    const auto ended = co_await co::try_with_timeout(5ms, std::move(task));
    EXPECT_FALSE(ended.has_value());
    EXPECT_EQ(this_thread(), here);
  };
  run_task(base, limited(waits_away(other.base())));
}

BACKEND_TEST(ResumeOnTest, ManyTasksCrossAtOnce) {
  BaseInThread other(real_time());
  Base base(real_time());
  std::atomic<int> crossed = 0;
  const auto travels = [](Base& home, Base& away, std::atomic<int>& count) -> Task<> {
    for (int i = 0; i < 10; ++i) {
      co_await co::resume_on(away);
      ++count;
      co_await co::resume_on(home);
      ++count;
    }
  };
  const Bounded bounded(base);
  TaskGroup group(base);
  for (int i = 0; i < 100; ++i) group.spawn(travels(base, other.base(), crossed));
  co::run(base, joins(group));
  EXPECT_EQ(crossed, 2'000);
}

// Both bases in this thread, so that the test says when which of them runs.
class Errand {
 public:
  explicit Errand(const Options& options) : home(options), away(options) {}

  static Task<> goes(Errand& errand) {
    const CountsDestruction local(errand.destroyed);
    try {
      co_await co::resume_on(errand.away);
      ++errand.arrived;
      co_await co::sleep(1h);
      co_await co::resume_on(errand.home);
      ++errand.returned;
    } catch (const std::system_error& error) {
      errand.thrown = error.code();
      throw;
    } catch (const std::bad_alloc&) {
      ++errand.without_memory;
    }
  }

  Base home;
  Base away;
  int arrived = 0;
  int returned = 0;
  int destroyed = 0;
  int without_memory = 0;
  std::error_code thrown;
};

BACKEND_TEST(ResumeOnTest, KeepsItsOwnBaseRunningWhileTheTaskIsAway) {
  Errand errand(options());
  TaskGroup group(errand.home);
  group.spawn(Errand::goes(errand));
  errand.home.loop(RunMode::nonblock);
  EXPECT_EQ(errand.arrived, 0) << "not in this iteration";
  EXPECT_EQ(errand.home.size(), 1U) << "what keeps it running";
  run(errand.away);
  EXPECT_EQ(errand.arrived, 1);
  run(errand.home);
  EXPECT_EQ(errand.returned, 1);
  EXPECT_EQ(group.size(), 0U);
  EXPECT_EQ(errand.home.size(), 0U);
}

BACKEND_TEST(ResumeOnTest, HearsOfACancellationInEachPlaceOfItsWay) {
  for (int place = 0; place < 4; ++place) {
    SCOPED_TRACE(place);
    Errand errand(options());
    TaskGroup group(errand.home);
    group.spawn(Errand::goes(errand));
    if (place > 0) errand.home.loop(RunMode::nonblock);  // it is on its way
    if (place > 1) errand.away.loop(RunMode::nonblock);  // it is there
    if (place > 2) {
      errand.away.loop(RunMode::once);  // it has slept
      errand.away.loop(RunMode::nonblock);
    }
    group.cancel();
    run_both(errand.away, errand.home);
    EXPECT_EQ(errand.destroyed, 1);
    EXPECT_EQ(group.size(), 0U);
    if (place < 3) {
      EXPECT_EQ(errand.thrown, std::errc::operation_canceled);
    }
    EXPECT_EQ(errand.arrived, place > 0 ? 1 : 0);
    EXPECT_EQ(errand.home.size() + errand.away.size(), 0U);
  }
}

BACKEND_TEST(ResumeOnTest, ComesHomeThoughItWasCancelledWhileItWasAway) {
  Base home(options());
  Base away(options());
  Base* ended_on = nullptr;
  const auto travels = [](Base& there, Base& back, Base*& last) -> Task<> {
    co_await co::resume_on(there);
    const std::error_code error = co_await error_of(sleeps_long());
    EXPECT_EQ(error, std::errc::operation_canceled);
    co_await co::resume_on(back);
    Base& now = co_await co::base();
    last = &now;
  };
  TaskGroup group(home);
  group.spawn(travels(away, home, ended_on));
  home.loop(RunMode::nonblock);
  away.loop(RunMode::nonblock);
  group.cancel();
  run_both(away, home);
  EXPECT_EQ(ended_on, &home);
  EXPECT_EQ(group.size(), 0U);
}

BACKEND_TEST(ResumeOnTest, ComesHomeThoughItIsCancelledBeforeItLeaves) {
  Base home(options());
  Base away(options());
  Base* ended_on = nullptr;
  const auto travels = [](Base& there, Base& back, Base*& last) -> Task<> {
    co_await co::resume_on(there);
    co_await co::sleep(1s);
    co_await co::resume_on(back);
    Base& now = co_await co::base();
    last = &now;
  };
  TaskGroup group(home);
  group.spawn(travels(away, home, ended_on));
  home.loop(RunMode::nonblock);
  away.loop(RunMode::nonblock);
  group.cancel();  // by a posted function, which runs after timers
  time.advance(1s);
  run_both(away, home);
  EXPECT_EQ(ended_on, &home);
  EXPECT_EQ(group.size(), 0U);
}

BACKEND_TEST(ResumeOnTest, StaysWhereItIsIfThereIsNoMemory) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be replaced here";
  for (std::size_t n = 0;; ++n) {
    Errand errand(options());
    TaskGroup group(errand.home);
    group.spawn(Errand::goes(errand));
    std::size_t failures = 0;
    {
      const FailingNew failing(n);
      errand.home.loop(RunMode::nonblock);
      failures = failing.failures();
    }
    if (failures == 0) {
      run(errand.away);
      run(errand.home);
      EXPECT_EQ(errand.returned, 1);
      break;
    }
    errand.home.loop(RunMode::nonblock);
    EXPECT_EQ(errand.without_memory, 1);
    EXPECT_EQ(group.size(), 0U);
    EXPECT_EQ(errand.home.size(), 0U);
    if (HasFailure()) break;
  }
}

BACKEND_TEST(ResumeOnTest, EndsTheProgramIfTheBaseGoesBeforeTheTaskArrives) {
  EXPECT_DEATH(
      {
        Base home(options());
        std::optional<Base> away(std::in_place, options());
        TaskGroup group(home);
        group.spawn([](Base& to) -> Task<> { co_await co::resume_on(to); }, std::ref(*away));
        home.loop(RunMode::nonblock);
        away.reset();
        std::_Exit(0);  // the task is lost
      },
      "a task is on another base");
}

BACKEND_TEST(ResumeOnTest, EndsTheProgramIfABaseOrAGroupGoesWhileATaskIsAway) {
  EXPECT_DEATH(
      {
        std::optional<Errand> errand(std::in_place, options());
        TaskGroup group(errand->home);
        group.spawn(Errand::goes(*errand));
        errand->home.loop(RunMode::nonblock);
        errand->away.loop(RunMode::nonblock);
        errand.reset();
      },
      "a task is on another base");
  EXPECT_DEATH(
      {
        Errand errand(options());
        std::optional<TaskGroup> group(std::in_place, errand.home);
        group->spawn(Errand::goes(errand));
        errand.home.loop(RunMode::nonblock);
        group.reset();
      },
      "a task is on another base");
}

}  // namespace
}  // namespace event_cpp::test
