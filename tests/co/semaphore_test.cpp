// Semaphore: who gets a permit, and that none is lost.
#include <algorithm>
#include <optional>
#include <vector>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

using co::Semaphore;
using co::SemaphoreGuard;
using co::Task;
using co::TaskGroup;

Task<> acquires(Semaphore& permits, std::vector<int>& order, int n) {
  co_await permits.acquire();
  order.push_back(n);
}

class SemaphoreTest : public EveryBackendCo {};

BACKEND_TEST(SemaphoreTest, GivesAPermitAtOnceIfThereIsOne) {
  co::Semaphore semaphore(1);
  EXPECT_TRUE(semaphore.try_acquire());
  EXPECT_FALSE(semaphore.try_acquire());
  semaphore.release();
  EXPECT_EQ(semaphore.available(), 1U);
}

BACKEND_TEST(SemaphoreTest, ServesThoseWhoWaitInTheirOrder) {
  Base base(options());
  Semaphore semaphore(1);
  TaskGroup group(base);
  std::vector<int> order;
  for (int i = 1; i <= 4; ++i) group.spawn(acquires(semaphore, order, i));
  EXPECT_EQ(order, (std::vector<int>{1}));
  for (int i = 0; i < 3; ++i) semaphore.release();
  run(base);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(semaphore.available(), 0U);
}

BACKEND_TEST(SemaphoreTest, LimitsHowManyWorkAtOnce) {
  Base base(options());
  Semaphore semaphore(3);
  TaskGroup group(base);
  int now = 0;
  int most = 0;
  const auto works = [](Semaphore& permits, int& count, int& highest) -> Task<> {
    co_await permits.acquire();
    const SemaphoreGuard guard(permits);
    ++count;
    highest = std::max(highest, count);
    co_await co::sleep(1s);
    --count;
  };
  for (int i = 0; i < 10; ++i) group.spawn(works(semaphore, now, most));
  run(base);
  EXPECT_EQ(most, 3);
  EXPECT_EQ(semaphore.available(), 3U);
}

BACKEND_TEST(SemaphoreTest, GivesThePermitOfADestroyedTaskToTheNextOne) {
  Base base(options());
  Semaphore semaphore(0);
  std::vector<int> order;
  std::optional<TaskGroup> first(std::in_place, base);
  TaskGroup second(base);
  first->spawn(acquires(semaphore, order, 1));
  second.spawn(acquires(semaphore, order, 2));
  semaphore.release();
  first.reset();
  run(base);
  EXPECT_EQ(order, (std::vector<int>{2}));
}

BACKEND_TEST(SemaphoreTest, TakesNoPermitForAWaitThatIsCancelled) {
  Base base(options());
  Semaphore semaphore(0);
  std::vector<int> order;
  TaskGroup first(base);
  TaskGroup second(base);
  first.spawn(acquires(semaphore, order, 1));
  second.spawn(acquires(semaphore, order, 2));
  first.cancel();
  semaphore.release();
  run(base);
  EXPECT_EQ(order, (std::vector<int>{2}));
  EXPECT_EQ(semaphore.available(), 0U);
}

BACKEND_TEST(SemaphoreTest, MayGoWhileTasksWaitAndHavePermits) {
  Base base(options());
  std::optional<Semaphore> semaphore(std::in_place, 0U);
  TaskGroup group(base, [](const std::exception_ptr&) {});
  std::vector<int> order;
  group.spawn(acquires(*semaphore, order, 1));
  group.spawn(acquires(*semaphore, order, 2));
  semaphore->release();
  semaphore.reset();
  run(base);
  EXPECT_EQ(order, (std::vector<int>{1}));
  EXPECT_EQ(group.size(), 0U);
}

BACKEND_TEST(SemaphoreTest, IsAcquiredAMillionTimes) {
  Base base(options());
  const auto loops = []() -> Task<> {
    Semaphore semaphore(1);
    for (int i = 0; i < 1'000'000; ++i) {
      co_await semaphore.acquire();
      semaphore.release();
    }
  };
  run_task(base, loops());
}

}  // namespace
}  // namespace event_cpp::test
