// resume_on(): tasks that go on in the threads of other bases.
#include <atomic>
#include <stdexcept>
#include <thread>

#include "co/support.hpp"

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

class ResumeOnTest : public EveryBackendCo {
 protected:
  static Task<> joins(TaskGroup& group) { co_await group.join(); }
};

TEST_P(ResumeOnTest, GoesOnInTheThreadOfTheOtherBaseAndBack) {
  BaseInThread other(real_time());
  Base base(real_time());
  const auto travels = [](Base& home, BaseInThread& away) -> Task<int> {
    const std::thread::id here = std::this_thread::get_id();
    for (int i = 0; i < 50; ++i) {
      co_await co::resume_on(away.base());
      EXPECT_EQ(std::this_thread::get_id(), away.id());
      Base& now = co_await co::base();
      EXPECT_EQ(&now, &away.base());
      co_await co::yield();
      co_await co::resume_on(home);
      EXPECT_EQ(std::this_thread::get_id(), here);
      co_await co::resume_on(home);
    }
    co_return 50;
  };
  EXPECT_EQ(run_task(base, travels(base, other)), 50);
}

TEST_P(ResumeOnTest, TellsItsEndAndItsFailureAtHome) {
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

TEST_P(ResumeOnTest, GoesFromOneOtherBaseToTheNext) {
  BaseInThread second(real_time());
  BaseInThread third(real_time());
  Base base(real_time());
  const auto travels = [](BaseInThread& two, BaseInThread& three) -> Task<int> {
    int stops = 0;
    for (int i = 0; i < 20; ++i) {
      co_await co::resume_on(two.base());
      stops += std::this_thread::get_id() == two.id();
      co_await co::resume_on(three.base());
      stops += std::this_thread::get_id() == three.id();
    }
    co_return stops;
  };
  EXPECT_EQ(run_task(base, travels(second, third)), 40);
}

TEST_P(ResumeOnTest, IsCancelledWhereverItIs) {
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

TEST_P(ResumeOnTest, ComesHomeFromWithinALimitThatEndsIt) {
  BaseInThread other(real_time());
  Base base(real_time());
  const auto waits_away = [](Base& away) -> Task<> {
    co_await co::resume_on(away);
    co_await co::sleep(1h);
  };
  const auto limited = [](Task<> task) -> Task<> {
    const std::thread::id here = std::this_thread::get_id();
    const auto ended = co_await co::try_with_timeout(5ms, std::move(task));
    EXPECT_FALSE(ended.has_value());
    EXPECT_EQ(std::this_thread::get_id(), here);
  };
  run_task(base, limited(waits_away(other.base())));
}

TEST_P(ResumeOnTest, ManyTasksCrossAtOnce) {
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

INSTANTIATE_TEST_SUITE_P(, ResumeOnTest, testing::ValuesIn(usable_backends()),
                         [](const auto& chosen) { return to_string(chosen.param); });

}  // namespace
}  // namespace event_cpp::test
