// TaskGroup: who owns tasks, what their failures do, and who waits for them.
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "co/support.hpp"
#include "support/tracked.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

Task<> fails_at_once() {
  throw std::runtime_error("at once");
  co_return;
}

Task<> fails_after(Duration delay) {
  co_await co::sleep(delay);
  throw std::runtime_error("later");
}

Task<> sleeps(Duration delay) { co_await co::sleep(delay); }

// Notes its number when its frame is destroyed.
struct NotesDestruction {
  std::vector<int>& noted;
  int number;
  NotesDestruction(std::vector<int>& to, int n) noexcept : noted(to), number(n) {}
  ~NotesDestruction() { noted.push_back(number); }
  NotesDestruction(const NotesDestruction&) = delete;
  NotesDestruction& operator=(const NotesDestruction&) = delete;
};

class TaskGroupTest : public EveryBackendCo {
 protected:
  static Task<> joins(TaskGroup& group) { co_await group.join(); }
  static Task<> counts_failures(TaskGroup& group, int& caught) {
    try {
      co_await group.join();
    } catch (const std::runtime_error&) {
      ++caught;
    }
  }
  static Task<> joins_and_notes(TaskGroup& group, int& noted) {
    co_await group.join();
    ++noted;
  }
};

BACKEND_TEST(TaskGroupTest, RunsATaskToItsFirstWaitWhenItIsSpawned) {
  Base base(options());
  TaskGroup group(base);
  int steps = 0;
  const auto task = [](int& count) -> Task<> {
    ++count;
    co_await co::yield();
    ++count;
  };
  group.spawn(task(steps));
  EXPECT_EQ(steps, 1);
  EXPECT_EQ(group.size(), 1U);
  run(base);
  EXPECT_EQ(steps, 2);
  EXPECT_EQ(group.size(), 0U);
}

BACKEND_TEST(TaskGroupTest, KeepsAFunctionAndItsArgumentsAsLongAsTheTask) {
  Base base(options());
  TaskGroup group(base);
  int alive = 0;
  int seen = 0;
  {
    const auto captured = std::make_shared<int>(7);
    const Tracked argument(alive);
    group.spawn(
        [captured, &seen](const Tracked&, int more) -> Task<> {
          co_await co::sleep(1s);
          seen = *captured + more;
        },
        argument, 1);
  }
  EXPECT_GE(alive, 1);
  run(base);
  EXPECT_EQ(seen, 8);
  EXPECT_EQ(alive, 0);
}

BACKEND_TEST(TaskGroupTest, RunsAnythingThatCanBeAwaited) {
  Base base(options());
  TaskGroup group(base);
  const auto counts = [](int& count) -> Task<int> {
    co_await co::yield();
    co_return ++count;
  };
  int count = 0;
  group.spawn(counts(count));
  group.spawn(counts, std::ref(count));
  group.spawn([&]() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(++count); });
  group.spawn(co::sleep(1ms));
  group.spawn(co::when_any(co::sleep(1ms), co::sleep(2ms)));
  EXPECT_EQ(group.size(), 4U);
  run(base);
  EXPECT_EQ(group.size(), 0U);
  EXPECT_EQ(count, 3);
}

BACKEND_TEST(TaskGroupTest, JoinThrowsTheFailureOfATaskWithAValue) {
  Base base(options());
  TaskGroup group(base);
  group.spawn([]() -> Task<int> {
    co_await co::yield();
    throw std::runtime_error("failed");
  });
  EXPECT_THROW(run_task(base, joins(group)), std::runtime_error);
}

BACKEND_TEST(TaskGroupTest, JoinWaitsUntilAllTasksHaveEnded) {
  Base base(options());
  TaskGroup group(base);
  group.spawn(sleeps(1s));
  group.spawn(sleeps(3s));
  group.spawn(sleeps(2s));
  const TimePoint began = time.now();
  run_task(base, joins(group));
  EXPECT_EQ(time.now() - began, 3s);
  run_task(base, joins(group));
}

BACKEND_TEST(TaskGroupTest, JoinThrowsTheFirstFailureAfterTheOthersWereCancelled) {
  Base base(options());
  TaskGroup group(base);
  int destroyed = 0;
  const auto waits = [](int& counter) -> Task<> {
    const CountsDestruction local(counter);
    co_await co::sleep(1h);
  };
  const TimePoint began = time.now();
  group.spawn(waits(destroyed));
  group.spawn(fails_after(1s));
  group.spawn(waits(destroyed));
  EXPECT_THROW(run_task(base, joins(group)), std::runtime_error);
  EXPECT_EQ(time.now() - began, 1s);
  EXPECT_EQ(destroyed, 2);
  run_task(base, joins(group));
}

BACKEND_TEST(TaskGroupTest, CanBeUsedAgainAfterAFailureThatWasJoined) {
  Base base(options());
  TaskGroup group(base);
  for (int i = 0; i < 3; ++i) {
    group.spawn(fails_at_once());
    EXPECT_THROW(run_task(base, joins(group)), std::runtime_error);
    group.spawn(sleeps(1s));
    run_task(base, joins(group));
  }
}

BACKEND_TEST(TaskGroupTest, FailureLeavesDispatchIfNobodyJoins) {
  Base base(options());
  TaskGroup group(base);
  group.spawn(fails_after(1s));
  EXPECT_THROW(run(base), std::runtime_error);
  EXPECT_THROW(run_task(base, joins(group)), std::runtime_error);
  run_task(base, joins(group));
}

BACKEND_TEST(TaskGroupTest, FailureAtOnceLeavesDispatchAndNotSpawn) {
  Base base(options());
  TaskGroup group(base);
  EXPECT_NO_THROW(group.spawn(fails_at_once()));
  EXPECT_THROW(run(base), std::runtime_error);
  EXPECT_EQ(group.size(), 0U);
}

BACKEND_TEST(TaskGroupTest, FailureLeavesDispatchThoughItsGroupIsGone) {
  Base base(options());
  std::optional<TaskGroup> group(std::in_place, base);
  group->spawn(fails_at_once());
  group.reset();
  EXPECT_THROW(run(base), std::runtime_error);
  EXPECT_EQ(run(base), 0U);
}

// Of several failures only the first leaves, and once, whether the group is there or not.
BACKEND_TEST(TaskGroupTest, FailureLeavesDispatchOnceWhoeverElseThrowsIt) {
  const auto throws = [](std::exception_ptr error) -> Task<> {
    std::rethrow_exception(error);
    co_return;
  };
  for (const bool goes : {false, true}) {
    SCOPED_TRACE(goes);
    Base base(options());
    std::optional<TaskGroup> group(std::in_place, base);
    const auto shared = std::make_exception_ptr(std::runtime_error("shared"));
    group->spawn(throws(shared));
    group->spawn(throws(shared));
    group->spawn(throws(std::make_exception_ptr(std::logic_error("another"))));
    if (goes) group.reset();
    EXPECT_THROW(run(base), std::runtime_error);
    EXPECT_NO_THROW(run(base));
  }
}

BACKEND_TEST(TaskGroupTest, FailureIsThrownInJoinAloneIfTheGroupGoes) {
  Base base(options());
  TaskGroup joiners(base);
  std::optional<TaskGroup> group(std::in_place, base);
  group->spawn(fails_after(1s));
  int caught = 0;
  joiners.spawn(counts_failures(*group, caught));
  // After the task has failed, and before it is reported.
  Timer timer(base, [&] { group.reset(); });
  timer.attach(1s);
  EXPECT_NO_THROW(run(base));
  EXPECT_EQ(caught, 1);
}

// Nor is its place used, if it is another group's by then.
BACKEND_TEST(TaskGroupTest, IsNotUsedByAJoinThatNeedsItNoMore) {
  Base base(options());
  TaskGroup joiners(base);
  const auto joins_often = [](std::optional<TaskGroup>& joined, int& count) -> Task<> {
    for (; count < 20 && joined.has_value(); ++count) co_await joined->join();
  };
  int joined = 0;
  std::optional<TaskGroup> group(std::in_place, base);
  joiners.spawn(joins_often(group, joined));
  EXPECT_LT(joined, 20) << "others have their turn";
  const auto never_awaited = std::make_unique<TaskGroup::Join>(group->join());
  group.reset();
  run(base);
  EXPECT_EQ(joiners.size(), 0U);
}

BACKEND_TEST(TaskGroupTest, DestroysTheArgumentsOfAFailedTaskAtTheLatestWithItself) {
  Base base(options());
  int destroyed = 0;
  std::optional<TaskGroup> group(std::in_place, base);
  const auto fails = [](std::unique_ptr<CountsDestruction>) -> Task<> {
    throw std::runtime_error("at once");
    co_return;
  };
  group->spawn(fails(std::make_unique<CountsDestruction>(destroyed)));
  group.reset();
  EXPECT_EQ(destroyed, 1);
  EXPECT_THROW(run(base), std::runtime_error);
}

BACKEND_TEST(TaskGroupTest, FailureThatNobodyHeardOfIsDroppedWithTheBase) {
  std::optional<TaskGroup> group;
  {
    Base base(options());
    group.emplace(base);
    group->spawn(fails_at_once());
  }
  EXPECT_EQ(group->size(), 0U);
}

BACKEND_TEST(TaskGroupTest, OthersOfTheBaseGoOnAfterAFailureThatLeftDispatch) {
  Base base(options());
  TaskGroup failing(base);
  TaskGroup working(base);
  int ended = 0;
  const auto works = [](int& count) -> Task<> {
    co_await co::yield();
    ++count;
  };
  working.spawn(works(ended));
  failing.spawn(fails_at_once());
  working.spawn(works(ended));
  EXPECT_THROW(run(base), std::runtime_error);
  run(base);
  EXPECT_EQ(ended, 2);
}

BACKEND_TEST(TaskGroupTest, TellsEachFailureToItsHandlerAndEndsNoOtherTask) {
  Base base(options());
  int failures = 0;
  int ended = 0;
  TaskGroup group(base, [&failures](const std::exception_ptr& error) {
    EXPECT_THROW(std::rethrow_exception(error), std::runtime_error);
    ++failures;
  });
  const auto works = [](int& count) -> Task<> {
    co_await co::sleep(5s);
    ++count;
  };
  group.spawn(works(ended));
  group.spawn(fails_at_once());
  group.spawn(fails_after(1s));
  EXPECT_EQ(failures, 0) << "it is called in the next iteration";
  run_task(base, joins(group));
  EXPECT_EQ(failures, 2);
  EXPECT_EQ(ended, 1);
}

BACKEND_TEST(TaskGroupTest, LetsItsHandlerSpawnATaskInPlaceOfTheFailedOne) {
  Base base(options());
  int failures = 0;
  std::optional<TaskGroup> group;
  group.emplace(base, [&](const std::exception_ptr&) {
    if (++failures < 3) group->spawn(fails_at_once());
  });
  group->spawn(fails_at_once());
  run_task(base, joins(*group));
  EXPECT_EQ(failures, 3);
}

BACKEND_TEST(TaskGroupTest, LetsWhatItsHandlerThrowsLeaveDispatch) {
  Base base(options());
  TaskGroup group(base, [](const std::exception_ptr& error) { std::rethrow_exception(error); });
  group.spawn(fails_after(1s));
  EXPECT_THROW(run(base), std::runtime_error);
  run_task(base, joins(group));
}

BACKEND_TEST(TaskGroupTest, MayBeDestroyedByItsHandlerWhichRunsToItsEnd) {
  for (const bool throws : {false, true}) {
    Base base(options());
    std::vector<int> destroyed;
    const auto waits = [](std::vector<int>& noted, int number) -> Task<> {
      const NotesDestruction note(noted, number);
      co_await co::sleep(1h);
    };
    auto group = std::make_unique<TaskGroup>(base);
    std::string text = "long enough to need memory of its own";
    std::string seen;
    group = std::make_unique<TaskGroup>(base, [&, text, throws](const std::exception_ptr& error) {
      group.reset();
      seen = text;
      if (throws) std::rethrow_exception(error);
    });
    group->spawn(waits(destroyed, 1));
    group->spawn(fails_at_once());
    group->spawn(waits(destroyed, 2));
    if (throws) {
      EXPECT_THROW(run(base), std::runtime_error);
    } else {
      run(base);
    }
    EXPECT_EQ(seen, text);
    EXPECT_EQ(destroyed, (std::vector<int>{1, 2}));
  }
}

BACKEND_TEST(TaskGroupTest, RefusesASecondTaskInJoin) {
  Base base(options());
  TaskGroup group(base);
  TaskGroup joiners(base);
  group.spawn(sleeps(1s));
  joiners.spawn(joins(group));
  EXPECT_EQ(run_task(base, error_of(joins(group))), std::errc::device_or_resource_busy);
  run(base);
  EXPECT_EQ(joiners.size(), 0U);
}

BACKEND_TEST(TaskGroupTest, ResumesWhoJoinsItOnceHoweverOftenItsLastTaskEnds) {
  Base base(options());
  TaskGroup group(base);
  TaskGroup joiners(base);
  const Pipe readable = readable_pipe();
  int joined = 0;
  const auto works_at_once = []() -> Task<> { co_return; };
  const auto waits = [](int fd) -> Task<> { co_await co::ready(fd, Events::read); };
  const auto failing = [](co::Notification& start) -> Task<> { co_await start.wait(); };
  co::Notification start;
  group.spawn(failing(start));
  joiners.spawn(joins_and_notes(group, joined));
  // The last task is destroyed by a failure's report or ends in spawn(); another follows at once.
  group.cancel();
  const auto spawns = [](TaskGroup& into, Task<> first, Task<> second) -> Task<> {
    co_await co::yield();
    into.spawn(std::move(first));
    into.spawn(std::move(second));
  };
  joiners.spawn(spawns(group, works_at_once(), waits(readable.reader.get())));
  run(base);
  EXPECT_EQ(joined, 1);
  EXPECT_EQ(group.size(), 0U);
  EXPECT_EQ(joiners.size(), 0U);
}

BACKEND_TEST(TaskGroupTest, ResumesWhoJoinsItOnceIfATaskEndsBeforeItsTurn) {
  Base base(options());
  TaskGroup group(base, [](const std::exception_ptr&) {});
  TaskGroup joiners(base);
  const Pipe readable = readable_pipe();
  int joined = 0;
  const auto waits = [](int fd) -> Task<> { co_await co::ready(fd, Events::read); };
  group.spawn(fails_at_once());
  joiners.spawn(joins_and_notes(group, joined));
  // The report of the failure wakes the task in join(). Before its turn another one ends, which a
  // descriptor wakes: descriptors come before timers and what is ready to run.
  const auto spawns = [](TaskGroup& into, Task<> task) -> Task<> {
    co_await co::yield();
    into.spawn(std::move(task));
  };
  joiners.spawn(spawns(group, waits(readable.reader.get())));
  run(base);
  EXPECT_EQ(joined, 1);
  EXPECT_EQ(joiners.size(), 0U);
}

BACKEND_TEST(TaskGroupTest, MayGoWhileATaskIsInJoin) {
  Base base(options());
  TaskGroup joiners(base);
  std::optional<TaskGroup> group(std::in_place, base);
  group->spawn(sleeps(1h));
  std::error_code thrown;
  const auto waits = [](TaskGroup& joined, std::error_code& code) -> Task<> {
    code = co_await error_of(joins(joined));
  };
  joiners.spawn(waits(*group, thrown));
  group.reset();
  EXPECT_FALSE(thrown) << "the task goes on in the next iteration";
  run(base);
  EXPECT_EQ(thrown, std::errc::operation_canceled);
  EXPECT_EQ(joiners.size(), 0U);
}

BACKEND_TEST(TaskGroupTest, MayGoBeforeTheTaskThatIsInJoin) {
  Base base(options());
  std::optional<TaskGroup> joiners(std::in_place, base);
  std::optional<TaskGroup> group(std::in_place, base);
  group->spawn(sleeps(1h));
  joiners->spawn(joins(*group));
  group.reset();
  joiners.reset();
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(TaskGroupTest, ThrowsTheFailureInJoinThoughItIsGone) {
  Base base(options());
  TaskGroup joiners(base);
  std::optional<TaskGroup> group(std::in_place, base);
  int caught = 0;
  group->spawn(fails_after(1s));
  joiners.spawn(counts_failures(*group, caught));
  // Just before the turn of the task in join().
  Timer timer(base, [&] { base.post([&] { base.post([&] { group.reset(); }, Priority::high); }); });
  timer.attach(1s);
  try {
    run(base);
    run(base);
  } catch (const std::runtime_error&) {
    ++caught;  // it left dispatch(), with the group
    run(base);
  }
  EXPECT_GE(caught, 1);
}

BACKEND_TEST(TaskGroupTest, DestroysItsTasksInTheirOrderAndInnermostFirst) {
  Base base(options());
  std::vector<int> order;
  {
    TaskGroup group(base);
    const auto inner = [](std::vector<int>& noted, int n) -> Task<> {
      const NotesDestruction local(noted, n);
      co_await co::sleep(1h);
    };
    const auto outer = [inner](std::vector<int>& noted, int n) -> Task<> {
      const NotesDestruction local(noted, n + 1);
      co_await co::with_timeout(2h, inner(noted, n));
    };
    group.spawn(outer, std::ref(order), 1);
    group.spawn(outer, std::ref(order), 3);
  }
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(TaskGroupTest, DestroysWhatADestructorSpawnsIntoIt) {
  Base base(options());
  int ran = 0;
  std::optional<TaskGroup> group(std::in_place, base);
  const auto other = [](int& count) -> Task<> {
    ++count;
    co_return;
  };
  struct Spawns {
    TaskGroup& into;
    Task<> task;
    Spawns(TaskGroup& to, Task<> its_task) : into(to), task(std::move(its_task)) {}
    ~Spawns() { into.spawn(std::move(task)); }
  };
  const auto waits = [](TaskGroup& into, Task<> task) -> Task<> {
    const Spawns local(into, std::move(task));
    co_await co::sleep(1h);
  };
  group->spawn(waits(*group, other(ran)));
  group.reset();
  EXPECT_EQ(ran, 0);
}

BACKEND_TEST(TaskGroupTest, DestroysWhatIsSpawnedIntoAnyGroupWhileTheBaseGoes) {
  int ran = 0;
  std::optional<Base> base(options());
  TaskGroup first(*base);
  TaskGroup second(*base);
  const auto other = [](int& count) -> Task<> {
    ++count;
    co_return;
  };
  struct Spawns {
    TaskGroup& into;
    Task<> task;
    Spawns(TaskGroup& to, Task<> its_task) : into(to), task(std::move(its_task)) {}
    ~Spawns() { into.spawn(std::move(task)); }
  };
  const auto waits = [](TaskGroup& into, Task<> task) -> Task<> {
    const Spawns local(into, std::move(task));
    co_await co::sleep(1h);
  };
  first.spawn(waits(second, other(ran)));
  base.reset();
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(first.size() + second.size(), 0U);
}

BACKEND_TEST(TaskGroupTest, DestroysWhatIsSpawnedIfItIsMadeWhileTheBaseGoes) {
  struct Spawns {
    Base& base;
    int& started;
    Spawns(Base& on, int& counter) noexcept : base(on), started(counter) {}
    ~Spawns() {
      TaskGroup group(base);
      group.spawn(counts(started));
      EXPECT_EQ(group.size(), 0U);
    }
    Spawns(const Spawns&) = delete;
    Spawns& operator=(const Spawns&) = delete;

    static Task<> counts(int& counter) {
      ++counter;
      co_return;
    }
  };
  const auto waits = [](Base& base, int& started) -> Task<> {
    const Spawns local(base, started);
    co_await co::sleep(1h);
  };
  int started = 0;
  std::optional<Base> base(std::in_place, options());
  TaskGroup group(*base);
  group.spawn(waits(*base, started));
  base.reset();
  EXPECT_EQ(started, 0);
}

// A session that nobody owns but its own tasks.
struct SelfOwned {
  SelfOwned(Base& base, int& counter) : tasks(base), destroyed(counter) {}
  ~SelfOwned() { ++destroyed; }
  SelfOwned(const SelfOwned&) = delete;
  SelfOwned& operator=(const SelfOwned&) = delete;

  static Task<> waits(std::shared_ptr<SelfOwned> /*self*/, Duration delay) {
    co_await co::sleep(delay);
  }
  static Task<> ends(std::shared_ptr<SelfOwned> /*self*/) { co_return; }
  static Task<> fails(std::shared_ptr<SelfOwned> /*self*/) {
    throw std::runtime_error("at once");
    co_return;
  }
  // Spawns the task that make(session) returns, which then owns the session alone.
  template <class F>
  static void spawn_alone(std::shared_ptr<SelfOwned> self, F make) {
    TaskGroup& tasks = self->tasks;
    Task<> task = make(std::move(self));
    tasks.spawn(std::move(task));
  }

  TaskGroup tasks;
  int& destroyed;
};

BACKEND_TEST(TaskGroupTest, MayBeOwnedByAParameterOfItsLastTask) {
  Base base(options());
  int destroyed = 0;
  const auto waits = [](auto self) { return SelfOwned::waits(std::move(self), 1s); };
  SelfOwned::spawn_alone(std::make_shared<SelfOwned>(base, destroyed), waits);
  EXPECT_EQ(destroyed, 0);
  run(base);
  EXPECT_EQ(destroyed, 1);
  SelfOwned::spawn_alone(std::make_shared<SelfOwned>(base, destroyed), SelfOwned::ends);
  EXPECT_EQ(destroyed, 2);
  SelfOwned::spawn_alone(std::make_shared<SelfOwned>(base, destroyed), SelfOwned::fails);
  EXPECT_THROW(run(base), std::runtime_error);
  EXPECT_EQ(destroyed, 3);
}

BACKEND_TEST(TaskGroupTest, ThatItsLastTaskOwnsResumesWhoJoinsIt) {
  Base base(options());
  TaskGroup others(base);
  std::error_code error;
  const auto notes_error = [](TaskGroup& group, std::error_code& noted) -> Task<> {
    noted = co_await error_of(joins(group));
  };
  int destroyed = 0;
  auto session = std::make_shared<SelfOwned>(base, destroyed);
  TaskGroup& tasks = session->tasks;
  tasks.spawn(SelfOwned::waits(std::move(session), 1s));
  others.spawn(notes_error(tasks, error));
  run(base);
  EXPECT_EQ(destroyed, 1);
  EXPECT_EQ(others.size(), 0U);
  EXPECT_EQ(error, std::error_code()) << "all tasks had ended";
}

BACKEND_TEST(TaskGroupTest, MayBeOwnedByItsTaskWhenTheBaseGoes) {
  int destroyed = 0;
  {
    Base base(options());
    auto session = std::make_shared<SelfOwned>(base, destroyed);
    session->tasks.spawn(SelfOwned::waits(session, 1s));
    session->tasks.spawn(SelfOwned::waits(std::move(session), 1s));
    SelfOwned::spawn_alone(std::make_shared<SelfOwned>(base, destroyed), SelfOwned::fails);
  }
  EXPECT_EQ(destroyed, 2);
}

BACKEND_TEST(TaskGroupTest, RefusesATaskThatWasMovedFrom) {
  Base base(options());
  TaskGroup group(base);
  Task<> task = sleeps(1s);
  group.spawn(std::move(task));
  EXPECT_EQ(thrown_by([&] { group.spawn(std::move(task)); }),  // NOLINT(bugprone-use-after-move)
            std::errc::invalid_argument);
  EXPECT_EQ(group.size(), 1U);
}

BACKEND_TEST(TaskGroupTest, SpawnsStartedByTasksMayNestDeep) {
  Base base(options());
  TaskGroup group(base);
  struct Deep {
    static Task<> spawn(TaskGroup& into, int depth) {
      if (depth > 0) into.spawn(spawn(into, depth - 1));
      co_await co::yield();
    }
  };
  group.spawn(Deep::spawn(group, 1'000));
  EXPECT_EQ(group.size(), 1'001U);
  run(base);
  EXPECT_EQ(group.size(), 0U);
}

#ifndef NDEBUG

BACKEND_TEST(TaskGroupTest, SaysInADebugBuildThatOneOfItsTasksDestroysIt) {
  struct Suicide {
    static Task<> at_once(std::optional<TaskGroup>& own) {
      co_await co::yield();
      own.reset();
    }
    static Task<> with_timeout(std::optional<TaskGroup>& own) {
      co_await co::with_timeout(1s, at_once(own));
    }
  };
  EXPECT_DEATH(
      {
        Base base(options());
        std::optional<TaskGroup> group(std::in_place, base);
        group->spawn(Suicide::at_once(group));
        base.dispatch();
      },
      "destroyed by one of its tasks");
  EXPECT_DEATH(
      {
        Base base(options());
        std::optional<TaskGroup> group(std::in_place, base);
        group->spawn(Suicide::with_timeout(group));
        base.dispatch();
      },
      "destroyed by one of its tasks");
}

#endif

}  // namespace
}  // namespace event_cpp::test
