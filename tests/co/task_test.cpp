// Task and run(): values, exceptions, and depth.
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "co/support.hpp"
#include "support/sanitizers.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class TaskTest : public EveryBackendCo {};

// A task is awaited once: there is no second one, and one with a name is given away.
template <class T>
concept CanBeAwaited = requires(T&& task) { std::forward<T>(task).operator co_await(); };
template <class T>
concept CanBeLimited = requires(T&& task) { co::with_timeout(1s, std::forward<T>(task)); };
static_assert(CanBeAwaited<Task<int>> && CanBeLimited<Task<int>>);
static_assert(!CanBeAwaited<Task<int>&> && !CanBeLimited<Task<int>&>);
static_assert(!std::is_copy_constructible_v<Task<int>> && !std::is_copy_assignable_v<Task<int>>);

Task<int> doubled(int n) {
  co_await co::sleep(1s);
  co_return 2 * n;
}

Task<int> doubled_at_once(int n) { co_return 2 * n; }

Task<std::unique_ptr<std::string>> move_only() {
  co_await co::yield();
  co_return std::make_unique<std::string>("moved");
}

Task<int&> reference(int& n) {
  co_await co::yield();
  co_return n;
}

BACKEND_TEST(TaskTest, GivesItsValueToWhoAwaitsIt) {
  Base base(options());
  const auto sum = []() -> Task<int> {
    const int first = co_await doubled(1);
    const int second = co_await doubled_at_once(first);
    co_return first + second;
  };
  const TimePoint began = time.now();
  EXPECT_EQ(run_task(base, sum()), 6);
  EXPECT_EQ(time.now() - began, 1s);

  EXPECT_EQ(*run_task(base, move_only()), "moved");
  int n = 0;
  EXPECT_EQ(&run_task(base, reference(n)), &n);
}

BACKEND_TEST(TaskTest, DoesNothingBeforeItIsAwaited) {
  bool ran = false;
  const auto task = [](bool& flag) -> Task<> {
    flag = true;
    co_return;
  };
  { const Task<> dropped = task(ran); }
  EXPECT_FALSE(ran);
}

Task<int> fails(const char* why, bool waits) {
  if (waits) co_await co::yield();
  throw std::runtime_error(why);
}

BACKEND_TEST(TaskTest, ThrowsWhatItsCoroutineThrows) {
  Base base(options());
  EXPECT_THROW(run_task(base, fails("failed", true)), std::runtime_error);
  EXPECT_THROW(run_task(base, fails("failed", false)), std::runtime_error);
}

// Some of its tasks fail after a wait, some before, and those in between do not.
Task<std::string> failures_in_a_row() {
  std::string caught;
  for (const bool waits : {true, false}) {
    for (const char* const why : {"one", "two"}) {
      try {
        co_await fails(why, waits);
      } catch (const std::runtime_error& e) {
        caught += e.what();
      }
      const int twice = co_await doubled_at_once(static_cast<int>(waits));
      caught += std::to_string(twice);
    }
  }
  co_return caught;
}

BACKEND_TEST(TaskTest, ThrowsAnExceptionOnceToWhoAwaitsIt) {
  Base base(options());
  EXPECT_EQ(run_task(base, failures_in_a_row()), "one2two2one0two0");
}

BACKEND_TEST(TaskTest, ThatWasMovedFromCannotBeAwaited) {
  Base base(options());
  const auto awaits_twice = []() -> Task<> {
    Task<int> task = doubled_at_once(1);
    const int n = co_await std::move(task);
    EXPECT_EQ(n, 2);
    co_await std::move(task);  // NOLINT(bugprone-use-after-move): what is tested
  };
  EXPECT_EQ(run_task(base, error_of(awaits_twice())), std::errc::invalid_argument);
}

BACKEND_TEST(TaskTest, RunThrowsDeadlockIfNothingCanWakeIt) {
  Base base(options());
  int destroyed = 0;
  const auto waits = [](int& counter) -> Task<> {
    const CountsDestruction local(counter);
    co::Notification nobody;
    co_await nobody.wait();
  };
  try {
    run_task(base, waits(destroyed));
    FAIL() << "it cannot have ended";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), Errc::deadlock);
  }
  EXPECT_EQ(destroyed, 1);
}

BACKEND_TEST(TaskTest, RunThatThrowsLeavesNoStopForTheNextDispatch) {
  Base base(options());
  Timer throws(
      base, [] { throw std::runtime_error("callback"); }, Priority::low);
  throws.attach(1ms);
  bool ended = false;
  const auto sleeps = [](bool& has_ended) -> Task<> {
    co_await co::sleep(1ms);
    has_ended = true;
  };
  EXPECT_THROW(run_task(base, sleeps(ended)), std::runtime_error);
  EXPECT_TRUE(ended) << "in the same iteration";
  bool fired = false;
  base.after(1ms, [&] { fired = true; });
  run(base);
  EXPECT_TRUE(fired);
}

BACKEND_TEST(TaskTest, RunTakesOtherAwaitablesAsWell) {
  Base base(options());
  co::Channel<int> channel(1);
  EXPECT_TRUE(channel.try_send(3));
  EXPECT_EQ(co::run(base, channel.receive()), 3);
  co::run(base, co::sleep(1ms));
  struct Later {
    auto operator co_await() const { return co::sleep(1ms); }
  };
  co::run(base, Later());
}

// So many that the stack would overflow if each left a frame there.
BACKEND_TEST(TaskTest, LoopsOverMillionsOfAwaits) {
  constexpr int kAwaits = EVENT_HAS_ASAN_OR_TSAN ? 200'000 : 2'000'000;
  Base base(options());
  const auto child = []() -> Task<int> { co_return 1; };
  const auto loops = [child]() -> Task<int> {
    int sum = 0;
    for (int i = 0; i < kAwaits; ++i) {
      const int one = co_await child();
      sum += one;
    }
    co_return sum;
  };
  EXPECT_EQ(run_task(base, loops()), kAwaits);
}

Task<int> nested(int depth) {
  if (depth == 0) {
    co_await co::yield();
    co_return 0;
  }
  const int below = co_await nested(depth - 1);
  co_return below + 1;
}

BACKEND_TEST(TaskTest, MayBeNestedFiveThousandDeep) {
  Base base(options());
  EXPECT_EQ(run_task(base, nested(5'000)), 5'000);
}

}  // namespace
}  // namespace event_cpp::test
