// dump(), the order of what is ready, bases without a kernel side, and failing memory.
#include <algorithm>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "co/support.hpp"
#include "support/failing_new.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

Task<> naps(Duration delay) { co_await co::sleep(delay); }

Task<> naps_within_limit() { co_await co::with_timeout(2h, naps(1h)); }

class TaskDumpTest : public EveryBackendCo {
 protected:
  static std::string dumped(Base& base) {
    std::ostringstream out;
    co::dump(base, out);
    return out.str();
  }
};

TEST_P(TaskDumpTest, ShowsEachGroupAndWhatItsTasksWaitFor) {
  Base base(options());
  EXPECT_EQ(dumped(base), "");
  TaskGroup clients(base, "clients");
  TaskGroup unnamed(base);
  const Pipe silent = make_pipe();
  const auto reads = [](int fd) -> Task<> { co_await co::ready(fd, Events::read); };
  clients.spawn(reads(silent.reader.get()));
  clients.spawn(naps_within_limit());
  const auto yields = []() -> Task<> { co_await co::yield(); };
  unnamed.spawn(yields());

  const std::string text = dumped(base);
  const auto shows = [&text](const std::string& what) {
    return text.find(what) != std::string::npos;
  };
  EXPECT_TRUE(shows("group clients tasks 2\n")) << text;
  EXPECT_TRUE(shows("  ready " + std::to_string(silent.reader.get()) + " line ")) << text;
  EXPECT_TRUE(shows("\n  with_timeout line ")) << text;
  EXPECT_TRUE(shows("\n    sleep line ")) << text;
  EXPECT_TRUE(shows("group - tasks 1\n  its turn in ")) << text;
}

TEST_P(TaskDumpTest, MayBeCalledByATaskAndBesideFailedOnes) {
  Base base(options());
  TaskGroup group(base, [](const std::exception_ptr&) {});
  std::string text;
  const auto fails = []() -> Task<> {
    co_await naps(1s);
    co_await naps(1s);
    throw std::runtime_error("failed");
  };
  const auto dumps = [](std::string& into) -> Task<> {
    co_await naps(1s);
    co_await naps(1s);
    Base& here = co_await co::base();
    into = dumped(here);
  };
  group.spawn(fails());
  group.spawn(dumps(text));
  run(base);
  EXPECT_NE(text.find("its failure to be told\n"), std::string::npos) << text;
  EXPECT_NE(text.find("nothing, it runs\n"), std::string::npos) << text;
}

TEST_P(TaskDumpTest, IsEmptyAfterTheLastGroup) {
  Base base(options());
  { const TaskGroup group(base); }
  EXPECT_EQ(dumped(base), "");
}

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

TEST_P(TaskOrderTest, OfWhatIsReadyIsThatOfTheSource) {
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

TEST_P(TaskOrderTest, LeavesEveryTaskReadyIfTheSourceThrows) {
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

TEST_P(TaskOrderTest, IsFirstInFirstOutWithoutASource) {
  Base base(options());
  TaskGroup group(base);
  std::vector<int> order;
  for (int i = 1; i <= 4; ++i) group.spawn(notes(order, i));
  run(base);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

class TasksWithoutKernelTest : public testing::Test {
 protected:
  Options options() {
    Options chosen;
    chosen.backend = Backend::none;
    chosen.time = &time;
    return chosen;
  }
  ManualTime time;
};

TEST_F(TasksWithoutKernelTest, SleepAndWaitForEachOther) {
  Base base(options());
  const auto works = []() -> Task<int> {
    Base& here = co_await co::base();
    co::Channel<int> channel(0);
    TaskGroup group(here);
    const auto sends = [](co::Channel<int>& to) -> Task<> {
      co_await co::sleep(1h);
      co_await to.send(7);
    };
    group.spawn(sends(channel));
    const std::optional<int> got = co_await channel.receive();
    co_await group.join();
    co_return *got;
  };
  const TimePoint began = time.now();
  EXPECT_EQ(co::run(base, works()), 7);
  EXPECT_EQ(time.now() - began, 1h);
}

TEST_F(TasksWithoutKernelTest, RunWhatBlocksAtOnceInTheirOwnThread) {
  Base base(options());
  TaskGroup group(base);
  bool stop = false;
  const auto works = [](const bool& until) -> Task<> {
    while (!until) {
      const std::thread::id there =
          co_await co::blocking([] { return std::this_thread::get_id(); });
      EXPECT_EQ(there, std::this_thread::get_id());
    }
  };
  const auto stops = [](bool& flag) -> Task<> {
    co_await co::yield();
    flag = true;
  };
  group.spawn(stops(stop));
  group.spawn(works(stop));
  base.dispatch();
  EXPECT_EQ(group.size(), 0U);

  const auto fails = []() -> Task<> {
    co_await co::blocking([] { throw std::runtime_error("here"); });
  };
  EXPECT_THROW(co::run(base, fails()), std::runtime_error);
}

TEST_F(TasksWithoutKernelTest, CannotWaitForDescriptorsSignalsAndProcesses) {
  Base base(options());
  const Pipe silent = make_pipe();
  const auto reads = [](int fd) -> Task<> { co_await co::ready(fd, Events::read); };
  const auto awaits_signal = []() -> Task<> { co_await co::signal(SIGUSR1); };
  EXPECT_EQ(co::run(base, error_of(reads(silent.reader.get()))), Errc::unsupported);
  EXPECT_EQ(co::run(base, error_of(awaits_signal())), Errc::unsupported);
}

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

TEST_P(TaskMemoryTest, EveryAllocationMayFailAndNothingIsLost) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be replaced here";
  int failed = 0;
  bool ended = false;
  for (std::size_t n = 0; n < 500 && !ended; ++n) {
    SCOPED_TRACE("allocation number " + std::to_string(n));
    Base base(options());
    Out out;
    co::Semaphore permits(1);
    std::size_t failures = 0;
    const auto attempt = [&] {
      const FailingNew failing(n);
      try {
        const auto leave = [&] { failures = failing.failures(); };
        try {
          co::run(base, everything(out, permits));
        } catch (...) {
          leave();
          throw;
        }
        leave();
      } catch (const std::bad_alloc&) {
        ++failed;
      } catch (const std::system_error&) {
        ++failed;  // of the one whose sibling failed
      }
    };
    attempt();
    EXPECT_EQ(out.alive, 0);
    EXPECT_EQ(permits.available(), 1U);
    ended = failures == 0;
    if (ended) {
      EXPECT_EQ(out.finished, 1);
    }
    EXPECT_EQ(base.size(), 0U);
    if (HasFailure()) break;
  }
  EXPECT_TRUE(ended);
  EXPECT_GT(failed, 3);
}

INSTANTIATE_TEST_SUITE_P(, TaskDumpTest, testing::ValuesIn(usable_backends()),
                         [](const auto& chosen) { return to_string(chosen.param); });
INSTANTIATE_TEST_SUITE_P(, TaskOrderTest, testing::ValuesIn(usable_backends()),
                         [](const auto& chosen) { return to_string(chosen.param); });
INSTANTIATE_TEST_SUITE_P(, TaskMemoryTest, testing::ValuesIn(usable_backends()),
                         [](const auto& chosen) { return to_string(chosen.param); });

}  // namespace
}  // namespace event_cpp::test
