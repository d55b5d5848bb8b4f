// blocking(): functions that run in other threads.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "co/support.hpp"
#include "support/forked.hpp"
#include "support/sanitizers.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

class BlockingTest : public EveryBackendCo {
 protected:
  template <class F>
  static Task<> blocks(F f) {
    co_await co::blocking(std::move(f));
  }
  static Task<> yields() { co_await co::yield(); }
};

BACKEND_TEST(BlockingTest, GivesTheFunctionItsArguments) {
  Base base(real_time());
  const auto asks = []() -> Task<std::string> {
    const std::string text = "long enough to need memory of its own";
    std::string both = co_await co::blocking(
        [](const std::string& a, std::unique_ptr<int> b) { return a + std::to_string(*b); }, text,
        std::make_unique<int>(7));
    co_return both;
  };
  EXPECT_EQ(run_task(base, asks()), "long enough to need memory of its own7");
}

BACKEND_TEST(BlockingTest, RunsTheFunctionInAnotherThreadAndGoesOnHere) {
  Base base(real_time());
  const auto works = []() -> Task<> {
    const std::thread::id here = std::this_thread::get_id();
    const std::thread::id there = co_await co::blocking([] { return std::this_thread::get_id(); });
    EXPECT_NE(there, here);
    EXPECT_EQ(std::this_thread::get_id(), here);
    co_await co::blocking([] {});
    const std::unique_ptr<int> moved =
        co_await co::blocking([] { return std::make_unique<int>(7); });
    EXPECT_EQ(*moved, 7);
  };
  run_task(base, works());
}

BACKEND_TEST(BlockingTest, GivesTheObjectThatTheFunctionRefersTo) {
  Base base(real_time());
  int object = 7;
  const auto works = [](int& referred) -> Task<int*> {
    int& same = co_await co::blocking([&referred]() -> int& { return referred; });
    co_return &same;
  };
  EXPECT_EQ(run_task(base, works(object)), &object);
}

BACKEND_TEST(BlockingTest, ThrowsWhatTheFunctionThrows) {
  Base base(real_time());
  const auto works = []() -> Task<> {
    co_await co::blocking([] { throw std::runtime_error("there"); });
  };
  EXPECT_THROW(run_task(base, works()), std::runtime_error);
}

BACKEND_TEST(BlockingTest, BlocksAllSignalsInItsThreads) {
  Base base(real_time());
  const auto works = []() -> Task<bool> {
    const bool blocked = co_await co::blocking([] {
      sigset_t mask;
      ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
      return ::sigismember(&mask, SIGUSR1) == 1 && ::sigismember(&mask, SIGTERM) == 1;
    });
    co_return blocked;
  };
  EXPECT_TRUE(run_task(base, works()));
}

BACKEND_TEST(BlockingTest, RunsManyMoreFunctionsThanItHasThreads) {
  Base base(real_time());
  std::atomic<int> ran = 0;
  const auto works = [](std::atomic<int>& count) -> Task<> {
    auto f = [&count] { ++count; };
    co_await co::blocking(f);
  };
  TaskGroup group(base);
  for (int i = 0; i < 500; ++i) group.spawn(works(ran));
  run(base);
  EXPECT_EQ(ran, 500);
  EXPECT_EQ(group.size(), 0U);
}

BACKEND_TEST(BlockingTest, StartsAThreadWhenItIsFirstUsedAndNeverMoreThanSixteen) {
  const std::filesystem::path tasks("/proc/self/task");
  if (!std::filesystem::exists(tasks)) GTEST_SKIP() << "threads cannot be listed here";
  const auto threads = [&tasks] {
    std::set<std::filesystem::path> found;
    for (const auto& each : std::filesystem::directory_iterator(tasks)) found.insert(each.path());
    return found;
  };
  std::thread([] {}).join();  // with the first one the thread sanitizer starts its own
  // One that was joined may be listed a little longer.
  const auto before = threads();
  const auto started = [&] {
    return std::ranges::count_if(threads(), [&](const auto& it) { return !before.contains(it); });
  };
  Base base(real_time());
  TaskGroup group(base);
  EXPECT_EQ(started(), 0);
  std::promise<void> gate;
  const std::shared_future<void> opens = gate.get_future().share();
  const auto waits = [](std::shared_future<void> until) -> Task<> {
    auto f = [until] { until.wait(); };
    co_await co::blocking(std::move(f));
  };
  group.spawn(waits(opens));
  EXPECT_EQ(started(), 1);
  for (int i = 1; i < 40; ++i) group.spawn(waits(opens));
  EXPECT_EQ(started(), 16);
  gate.set_value();
  run(base);
  EXPECT_EQ(group.size(), 0U);
}

BACKEND_TEST(BlockingTest, LeavesTheFunctionAloneThatHasBegunIfTheWaitIsCancelled) {
  Base base(real_time());
  std::promise<void> gate;
  std::shared_future<void> opens = gate.get_future().share();
  int destroyed = 0;
  bool destroyed_here = false;
  struct Result {
    int* counter;
    bool* here;
    std::thread::id thread;
    Result(int* its_counter, bool* in_thread, std::thread::id home) noexcept
        : counter(its_counter), here(in_thread), thread(home) {}
    Result(Result&& other) noexcept
        : counter(std::exchange(other.counter, nullptr)), here(other.here), thread(other.thread) {}
    ~Result() {
      if (counter == nullptr) return;
      ++*counter;
      *here = std::this_thread::get_id() == thread;
    }
  };
  std::promise<void> begun;
  const auto waits = [&begun](std::shared_future<void> until, int& counter, bool& here) -> Task<> {
    const std::thread::id home = std::this_thread::get_id();
    auto f = [&begun, until, &counter, &here, home] {
      begun.set_value();
      until.wait();
      return Result(&counter, &here, home);
    };
    co_await co::blocking(std::move(f));
  };
  {
    const Bounded bounded(base);
    TaskGroup group(base);
    group.spawn(waits(opens, destroyed, destroyed_here));
    begun.get_future().wait();
    group.cancel();
    while (group.size() > 0) base.loop(RunMode::once);
    EXPECT_EQ(destroyed, 0);
  }
  gate.set_value();
  run(base);
  EXPECT_EQ(destroyed, 1);
  EXPECT_TRUE(destroyed_here);
}

BACKEND_TEST(BlockingTest, DoesNotBeginAFunctionWhoseWaitWasCancelled) {
  Base base(real_time());
  std::promise<void> gate;
  const std::shared_future<void> opens = gate.get_future().share();
  TaskGroup busy(base);
  const auto waits = [opens] { opens.wait(); };
  for (int i = 0; i < 16; ++i) busy.spawn(blocks(waits));
  std::atomic<int> begun{0};
  const auto begins = [&begun] { ++begun; };
  TaskGroup cancelled(base);
  for (int i = 0; i < 100; ++i) cancelled.spawn(blocks(begins));
  cancelled.cancel();
  busy.spawn(blocks(begins));
  gate.set_value();
  run(base);
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(busy.size() + cancelled.size(), 0U);
}

// Where the threads of the parent are not.
BACKEND_TEST(BlockingTest, WorksInAForkedChildOfAProcessThatHasUsedIt) {
  if (EVENT_HAS_TSAN) GTEST_SKIP() << "the thread sanitizer starts no thread in such a child";
  auto base = std::make_unique<Base>(real_time());
  const auto nothing = [] {};
  run_task(*base, blocks(nothing));
  EXPECT_TRUE(succeeds_in_child([&] { base.reset(); }));
  EXPECT_TRUE(succeeds_in_child([&] {
    base->after_fork();
    run_task(*base, blocks(nothing));
    base.reset();
  }));
  run_task(*base, blocks(nothing));
}

BACKEND_TEST(BlockingTest, ForgetsAFunctionThatEndsBetweenACancelAndItsTurn) {
  const auto waits = [](std::shared_future<void> until, int& failed) -> Task<> {
    auto f = [until] { until.wait(); };
    const std::error_code first = co_await error_of(blocks(std::move(f)));
    failed += first == std::errc::operation_canceled ? 1 : 0;
    const std::error_code second = co_await error_of(yields());
    failed += second == std::errc::operation_canceled ? 1 : 0;
  };
  for (int i = 0; i < 5; ++i) {
    Base base(real_time());
    std::promise<void> gate;
    int failed = 0;
    TaskGroup group(base);
    group.spawn(waits(gate.get_future().share(), failed));
    base.post([&group] { group.cancel(); });  // what tells the end of the function comes next
    gate.set_value();
    std::this_thread::sleep_for(2ms);
    run(base);
    EXPECT_EQ(failed, 2);
    EXPECT_EQ(group.size(), 0U);
  }
}

// Those that were dropped are destroyed before the others are waited for.
BACKEND_TEST(BlockingTest, WaitsForItsFunctionsIfTheBaseGoesAndDropsTheOthers) {
  constexpr int kThreads = 16;
  std::atomic<int> ran = 0;
  std::promise<void> gate;
  std::shared_future<void> opens = gate.get_future().share();
  const auto token = std::make_shared<int>();
  const auto waits = [](std::shared_future<void> until, std::shared_ptr<int> held,
                        std::atomic<int>& count) -> Task<> {
    auto f = [until, owned = std::move(held), &count] {
      until.wait();
      ++count;
    };
    co_await co::blocking(std::move(f));
  };
  std::optional<Base> base(std::in_place, real_time());
  TaskGroup group(*base);
  for (int i = 0; i < 40; ++i) group.spawn(waits(opens, token, ran));
  std::thread later([&] {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (token.use_count() > 1 + kThreads && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(1ms);
    }
    EXPECT_LE(token.use_count(), 1 + kThreads);
    gate.set_value();
  });
  base.reset();
  later.join();
  EXPECT_LE(ran, kThreads) << "those that had not begun are dropped";
  EXPECT_EQ(group.size(), 0U);
}

BACKEND_TEST(BlockingTest, KeepsTheBaseRunningOnManualTime) {
  Base base(options());
  const auto works = []() -> Task<int> {
    const int value = co_await co::blocking([] {
      std::this_thread::sleep_for(2ms);
      return 7;
    });
    co_return value;
  };
  EXPECT_EQ(run_task(base, works()), 7);
}

}  // namespace
}  // namespace event_cpp::test
