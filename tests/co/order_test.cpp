// Options::order picks among the tasks that are ready to run.
#include <stdexcept>
#include <vector>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

// Picks the last of what could run.
class LastFirst : public event_cpp::Order {
 public:
  std::uint32_t pick(std::uint32_t n) override {
    if (throws) throw std::runtime_error("no order");
    return n - 1;
  }
  bool throws = false;
};

class TaskOrderTest : public EveryBackendCo {
 protected:
  static Task<> notes(std::vector<int>& order, int n) {
    co_await co::yield();
    order.push_back(n);
  }
};

BACKEND_TEST(TaskOrderTest, OfWhatIsReadyIsThatOfTheSource) {
  LastFirst last_first;
  Options chosen = options();
  chosen.order = &last_first;
  Base base(chosen);
  TaskGroup group(base);
  std::vector<int> order;
  for (int i = 1; i <= 4; ++i) group.spawn(notes(order, i));
  run(base);
  EXPECT_EQ(order, (std::vector<int>{4, 3, 2, 1}));
}

BACKEND_TEST(TaskOrderTest, LeavesEveryTaskReadyIfTheSourceThrows) {
  LastFirst last_first;
  Options chosen = options();
  chosen.order = &last_first;
  Base base(chosen);
  TaskGroup group(base);
  std::vector<int> order;
  for (int i = 1; i <= 4; ++i) group.spawn(notes(order, i));
  last_first.throws = true;
  EXPECT_THROW(run(base), std::runtime_error);
  last_first.throws = false;
  run(base);
  EXPECT_EQ(order, (std::vector<int>{4, 3, 2, 1}));
}

BACKEND_TEST(TaskOrderTest, IsFirstInFirstOutWithoutASource) {
  Base base(options());
  TaskGroup group(base);
  std::vector<int> order;
  for (int i = 1; i <= 4; ++i) group.spawn(notes(order, i));
  run(base);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

BACKEND_TEST(TaskOrderTest, IsThatInWhichTheyBecameReadyAlsoAfterAnExceptionHasLeft) {
  Base base(options());
  TaskGroup group(base);
  TaskGroup failing(base);
  std::vector<int> order;
  const auto notes_twice = [](std::vector<int>& noted, int n) -> Task<> {
    co_await notes(noted, n);
    co_await notes(noted, n);
  };
  const auto fails = []() -> Task<> {
    throw std::runtime_error("failed");
    co_return;
  };
  group.spawn(notes_twice(order, 1));
  failing.spawn(fails());  // is told between the two
  group.spawn(notes_twice(order, 2));
  EXPECT_THROW(run(base), std::runtime_error);
  while (group.size() > 0) base.loop(RunMode::nonblock);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 1, 2}));
}

}  // namespace
}  // namespace event_cpp::test
