// Tasks on a base without a kernel side.
#include <csignal>
#include <optional>
#include <stdexcept>
#include <thread>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

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

}  // namespace
}  // namespace event_cpp::test
