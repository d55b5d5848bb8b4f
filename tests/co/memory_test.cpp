// Whatever allocation fails, no task, permit or value is lost.
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include "co/support.hpp"
#include "support/failing_new.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

class TaskMemoryTest : public EveryBackendCo {
 protected:
  struct Out {
    int alive = 0;
    int finished = 0;
  };
  struct Counted {
    int& alive;
    explicit Counted(int& count) noexcept : alive(count) { ++alive; }
    ~Counted() { --alive; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
  };

  // Runs everything with allocation number n failing.
  void fail_at(std::size_t n, int& failed, bool& ended);

  static Task<int> leaf(Out& out) {
    const Counted counted(out.alive);
    co_await co::sleep(1s);
    co_return 1;
  }
  static Task<> waits_for_permit(Out& out, co::Semaphore& permits) {
    const Counted counted(out.alive);
    co_await permits.acquire();
    const co::SemaphoreGuard guard(permits);
    co_await co::yield();
  }
  static Task<> sends(Out& out, co::Channel<int>& to) {
    const Counted counted(out.alive);
    for (int i = 0; i < 3; ++i) co_await to.send(i);
    to.close();
  }
  static Task<> receives(Out& out, co::Channel<int>& from) {
    const Counted counted(out.alive);
    for (;;) {
      const std::optional<int> got = co_await from.receive();
      if (!got.has_value()) break;
    }
  }
  static Task<> everything(Out& out, co::Semaphore& permits) {
    const Counted counted(out.alive);
    Base& here = co_await co::base();
    co::Channel<int> channel(1);
    TaskGroup group(here);
    group.spawn(waits_for_permit(out, permits));
    group.spawn(waits_for_permit(out, permits));
    group.spawn(sends(out, channel));
    group.spawn(receives, std::ref(out), std::ref(channel));
    const int value = co_await co::with_timeout(5s, leaf(out));
    EXPECT_EQ(value, 1);
    const auto both = co_await co::when_all(leaf(out), leaf(out));
    EXPECT_EQ(std::get<0>(both), 1);
    const auto any = co_await co::when_any(leaf(out), co::sleep(1h));
    EXPECT_EQ(any.first, 0U);
    const auto late = co_await co::try_with_timeout(1ms, leaf(out));
    EXPECT_FALSE(late.has_value());
    co_await co::shield(leaf(out));
    co_await group.join();
    ++out.finished;
  }
};

void TaskMemoryTest::fail_at(std::size_t n, int& failed, bool& ended) {
  SCOPED_TRACE("allocation number " + std::to_string(n));
  Base base(options());
  Out out;
  co::Semaphore permits(1);
  std::size_t failures = 0;
  {
    const FailingNew failing(n);
    try {
      co::run(base, everything(out, permits));
    } catch (const std::bad_alloc&) {
      ++failed;
    } catch (const std::system_error&) {
      ++failed;  // of the one whose sibling failed
    }
    failures = failing.failures();
  }
  EXPECT_EQ(out.alive, 0);
  EXPECT_EQ(permits.available(), 1U);
  ended = failures == 0;
  if (ended) {
    EXPECT_EQ(out.finished, 1);
  }
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(TaskMemoryTest, EveryAllocationMayFailAndNothingIsLost) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be replaced here";
  int failed = 0;
  bool ended = false;
  for (std::size_t n = 0; n < 500 && !ended && !HasFailure(); ++n) {
    // In a thread of its own, which has no block of memory to reuse.
    std::thread([&] { fail_at(n, failed, ended); }).join();
  }
  EXPECT_TRUE(ended);
  EXPECT_GT(failed, 3);
}

}  // namespace
}  // namespace event_cpp::test
