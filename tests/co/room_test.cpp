// TaskGroup::room(): a limit of tasks.
#include <exception>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

Task<> sleep_and_note(Duration duration, std::vector<Duration>& ended) {
  co_await co::sleep(duration);
  ended.push_back(duration);
}

Task<> wait_for_room(TaskGroup& group, std::size_t count, std::vector<std::size_t>& sizes) {
  co_await group.room(count);
  sizes.push_back(group.size());
}

class RoomTest : public EveryBackendCo {};

BACKEND_TEST(RoomTest, IsThereAtOnceWhileFewerTasksRun) {
  Base base(options());
  TaskGroup group(base);
  std::vector<Duration> ended;
  std::vector<std::size_t> sizes;
  group.spawn(sleep_and_note(1s, ended));
  run_task(base, wait_for_room(group, 2, sizes));
  EXPECT_EQ(sizes, std::vector<std::size_t>{1});
  EXPECT_TRUE(ended.empty());
}

BACKEND_TEST(RoomTest, ComesWhenATaskEnds) {
  Base base(options());
  TaskGroup group(base);
  std::vector<Duration> ended;
  std::vector<std::size_t> sizes;
  group.spawn(sleep_and_note(2s, ended));
  group.spawn(sleep_and_note(1s, ended));
  run_task(base, wait_for_room(group, 2, sizes));
  EXPECT_EQ(sizes, std::vector<std::size_t>{1});
  EXPECT_EQ(ended, std::vector<Duration>{1s});
}

Task<> fails_in_a_second() {
  co_await co::sleep(1s);
  throw std::runtime_error("fails");
}

BACKEND_TEST(RoomTest, IsTakenByATaskThatOnFailureSpawns) {
  Base base(options());
  std::vector<Duration> ended;
  TaskGroup* in = nullptr;
  TaskGroup group(base, [&](const std::exception_ptr&) { in->spawn(sleep_and_note(2s, ended)); });
  in = &group;
  std::vector<std::size_t> sizes;
  group.spawn(fails_in_a_second());
  run_task(base, wait_for_room(group, 1, sizes));
  EXPECT_EQ(sizes, std::vector<std::size_t>{0});
  EXPECT_EQ(ended, std::vector<Duration>{2s});
}

BACKEND_TEST(RoomTest, ComesWhenATaskHasFailed) {
  Base base(options());
  TaskGroup group(base, [](const std::exception_ptr&) {});
  std::vector<std::size_t> sizes;
  group.spawn(fails_in_a_second());
  run_task(base, wait_for_room(group, 1, sizes));
  EXPECT_EQ(sizes, std::vector<std::size_t>{0});
}

BACKEND_TEST(RoomTest, FailsAloneWhenItsTaskIsCancelled) {
  Base base(options());
  TaskGroup group(base);
  std::vector<Duration> ended;
  std::vector<std::size_t> sizes;
  group.spawn(sleep_and_note(2s, ended));
  TaskGroup waits(base);
  waits.spawn(wait_for_room(group, 1, sizes));
  waits.cancel();
  base.dispatch();
  EXPECT_TRUE(sizes.empty());
  EXPECT_EQ(ended, std::vector<Duration>{2s});
}

BACKEND_TEST(RoomTest, IsForOneThatWaits) {
  Base base(options());
  TaskGroup group(base);
  std::vector<Duration> ended;
  std::vector<std::size_t> sizes;
  group.spawn(sleep_and_note(1s, ended));
  TaskGroup waits(base);
  waits.spawn(wait_for_room(group, 1, sizes));
  EXPECT_THROW(run_task(base, wait_for_room(group, 1, sizes)), std::system_error);
  EXPECT_THROW(run_task(base, wait_for_room(group, 0, sizes)), std::system_error);
  base.dispatch();
  EXPECT_EQ(sizes, std::vector<std::size_t>{0});
}

BACKEND_TEST(RoomTest, FailsIfItsGroupGoes) {
  Base base(options());
  std::optional<TaskGroup> group(std::in_place, base);
  std::vector<Duration> ended;
  std::vector<std::size_t> sizes;
  group->spawn(sleep_and_note(1s, ended));
  TaskGroup waits(base);
  waits.spawn(wait_for_room(*group, 1, sizes));
  group.reset();
  EXPECT_EQ(waits.size(), 1U) << "the task goes on in the next iteration";
  EXPECT_THROW(base.dispatch(), std::system_error);  // nobody has cancelled it
  EXPECT_EQ(waits.size(), 0U);
  EXPECT_TRUE(sizes.empty());
}

BACKEND_TEST(RoomTest, IsNotLookedForInAGroupThatIsGone) {
  Base base(options());
  std::vector<std::size_t> sizes;
  for (const std::size_t tasks : {0U, 1U}) {
    SCOPED_TRACE(tasks);
    std::optional<TaskGroup> group(std::in_place, base);
    std::vector<Duration> ended;
    if (tasks > 0) group->spawn(sleep_and_note(1h, ended));
    TaskGroup waits(base);
    waits.spawn(wait_for_room(*group, 1, sizes));
    waits.cancel();
    auto never_awaited = group->room(1);
    group.reset();
    base.dispatch();
    EXPECT_EQ(waits.size(), 0U);
  }
}

// Of what is there at once, as of all that need not wait.
BACKEND_TEST(RoomTest, LeavesOthersTheirTurn) {
  Base base(options());
  TaskGroup group(base);
  bool others_ran = false;
  base.post([&] { others_ran = true; });
  const auto spawns = [](TaskGroup& into, const bool& ends) -> Task<> {
    for (int i = 0; i < 1000 && !ends; ++i) {
      co_await into.room(4);
      into.spawn([]() -> Task<> { co_return; });
    }
  };
  TaskGroup spawners(base);
  spawners.spawn(spawns(group, others_ran));
  EXPECT_EQ(spawners.size(), 1U);
  base.dispatch();
  EXPECT_TRUE(others_ran);

  const bool never = false;
  spawners.spawn(spawns(group, never));
  spawners.cancel();
  base.dispatch();
  EXPECT_EQ(spawners.size(), 0U);
}

}  // namespace
}  // namespace event_cpp::test
