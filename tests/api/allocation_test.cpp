// What allocates memory and what does not, and what happens if there is none.
#include <array>
#include <cerrno>
#include <coroutine>
#include <deque>
#include <exception>
#include <utility>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/failing_new.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

// Counts what this thread allocates.
class Allocations {
 public:
  std::size_t count() const noexcept { return calls_of_new_.count() + calls_of_realloc_.count(); }

 private:
  CountingNew calls_of_new_;
  CountingCall calls_of_realloc_{Call::realloc};
};

template <class F>
std::size_t allocated_by(F&& call) {
  const Allocations allocations;
  std::forward<F>(call)();
  return allocations.count();
}

// No memory at all for this thread. std::bad_alloc itself needs none.
struct NoMemory {
  FailingNew failing_new;
  FailingCall failing_realloc{Call::realloc, ENOMEM, 1, kAlways};
};

class AllocationTest : public EveryBackend {
 protected:
  void SetUp() override {
    if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be replaced here";
  }
};

// Events with a timeout on as many descriptors, all of them ready, and timers.
class Load {
 public:
  Load(Base& base, std::size_t descriptors, std::size_t timers) {
    for (std::size_t i = 0; i < descriptors; ++i) {
      copies_.push_back(duplicate(pipe_.reader));
      events_.emplace_back(base, copies_.back().get(), Events::read, [this] { ++fired_; });
    }
    for (std::size_t i = 0; i < timers; ++i) timers_.emplace_back(base, [this] { ++fired_; });
  }

  void attach() {
    for (Event& event : events_) event.attach();
    for (Timer& timer : timers_) timer.attach(1s);
  }
  void rearm() {
    for (Timer& timer : timers_) timer.rearm(3s);
    for (Timer& timer : timers_) timer.rearm(2s);
  }
  void detach() {
    for (Event& event : events_) event.detach();
    for (Timer& timer : timers_) timer.detach();
  }

  std::size_t size() const noexcept { return events_.size() + timers_.size(); }
  std::size_t fired() const noexcept { return fired_; }

 private:
  Pipe pipe_ = readable_pipe();
  std::deque<Fd> copies_;
  std::deque<Event> events_;
  std::deque<Timer> timers_;
  std::size_t fired_ = 0;
};

BACKEND_TEST(AllocationTest, NothingIsAllocatedAfterReserve) {
  for (const std::size_t count : {10U, 64U, 100U, 256U, 300U}) {
    SCOPED_TRACE(count);
    Base base(options());
    Load load(base, count, count);
    base.reserve(count, count);

    EXPECT_EQ(allocated_by([&] { load.attach(); }), 0U) << "by attach()";
    EXPECT_EQ(allocated_by([&] { load.rearm(); }), 0U) << "by rearm()";
    EXPECT_EQ(allocated_by([&] { load.detach(); }), 0U) << "by detach()";
    EXPECT_EQ(allocated_by([&] { load.attach(); }), 0U) << "by attach() after detach()";
    EXPECT_EQ(allocated_by([&] { base.dispatch(); }), 0U) << "by firing";
    EXPECT_EQ(allocated_by([&] { load.attach(); }), 0U) << "by attach() after firing";
    EXPECT_EQ(allocated_by([&] { base.dispatch(); }), 0U) << "by firing again";
    EXPECT_EQ(load.fired(), 2 * load.size());
  }
}

BACKEND_TEST(AllocationTest, NothingIsAllocatedAfterReserveByTimeoutsOfDescriptors) {
  constexpr std::size_t kCount = 50;
  Base base(options());
  const Pipe silent = make_pipe();
  std::deque<Fd> copies;
  std::deque<Event> events;
  for (std::size_t i = 0; i < kCount; ++i) {
    copies.push_back(duplicate(silent.reader));
    events.emplace_back(base, copies.back().get(), Events::read, [] {});
  }
  base.reserve(kCount, kCount);

  const std::size_t allocated = allocated_by([&] {
    for (Event& event : events) event.attach(1s);
    for (Event& event : events) event.rearm(2s);
    base.dispatch();
  });

  EXPECT_EQ(allocated, 0U);
}

BACKEND_TEST(AllocationTest, NothingIsAllocatedOnceTheTablesHaveGrown) {
  Base base(options());
  Load load(base, 100, 100);
  for (int warm = 0; warm < 3; ++warm) {
    load.attach();
    load.rearm();
    base.dispatch();
  }

  const std::size_t allocated = allocated_by([&] {
    load.attach();
    load.rearm();
    load.detach();
    load.attach();
    base.dispatch();
  });

  EXPECT_EQ(allocated, 0U);
}

BACKEND_TEST(AllocationTest, AReserveThatFailsThrowsAndNothingIsLost) {
  for (std::size_t successes = 0; successes < 100; ++successes) {
    Base base(options());
    Load load(base, 10, 10);
    load.attach();
    std::size_t failures = 0;
    bool thrown = false;
    {
      const FailingNew failing(successes);
      try {
        base.reserve(1000, 1000);
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
      failures = failing.failures();
    }
    EXPECT_EQ(thrown, failures > 0) << "number " << successes;
    base.dispatch();

    EXPECT_EQ(load.fired(), load.size());
    if (failures == 0) return;
  }
  FAIL() << "there is no end to what fails";
}

BACKEND_TEST(AllocationTest, ACallableOfTwoPointersIsStoredInTheEvent) {
  Base base(options());
  int a = 0;
  int b = 0;
  const auto callback = [&a, &b] { a = b; };
  static_assert(sizeof callback == 2 * sizeof(void*));

  const std::size_t allocated = allocated_by([&] {
    const Event event(base, -1, Events::timeout, callback);
    const Timer timer(base, callback);
    const Ticker ticker(base, callback);
  });

  EXPECT_EQ(allocated, 0U);
}

BACKEND_TEST(AllocationTest, ALargerCallableIsAllocatedOnce) {
  Base base(options());
  int a = 0;
  const auto callback = [&a, weight = std::array<void*, 2>{}] { a = weight[0] != nullptr; };

  EXPECT_EQ(allocated_by([&] { const Timer timer(base, callback); }), 1U);
  std::size_t failures = 0;
  {
    const FailingNew failing;
    EXPECT_THROW(Timer(base, callback), std::bad_alloc);
    failures = failing.failures();
  }

  EXPECT_EQ(failures, 1U);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(AllocationTest, PostAllocatesNothingOnceWarm) {
  Base base(options());
  int ran = 0;
  const auto post_all = [&] {
    for (int i = 0; i < 100; ++i) base.post([&ran, &base] { ran += base.running() ? 1 : 0; });
    base.dispatch();
  };
  for (int warm = 0; warm < 4; ++warm) post_all();

  EXPECT_EQ(allocated_by(post_all), 0U);
  EXPECT_EQ(ran, 500);
}

BACKEND_TEST(AllocationTest, APostThatFailsIsNotPosted) {
  Base base(options());
  for (std::size_t successes = 0; successes < 2; ++successes) {
    bool thrown = false;
    {
      const FailingNew failing(successes);
      try {
        base.post([&, weight = std::array<void*, 2>{}] {
          recorder.order.push_back(weight[0] != nullptr ? 1 : 2);
        });
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
    }
    EXPECT_TRUE(thrown);
  }

  EXPECT_EQ(base.dispatch(), 0U);
  EXPECT_TRUE(recorder.order.empty());
}

BACKEND_TEST(AllocationTest, AnAttachWithoutMemoryChangesNothing) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event first(base, pipe.reader.get(), Events::read, recorder.note(1));
  Event second(base, pipe.reader.get(), Events::read, recorder.note(2));
  first.attach();
  std::error_code error;
  {
    const NoMemory none;
    error = second.try_attach(1s);
  }

  EXPECT_EQ(error, system_error(ENOMEM));
  EXPECT_FALSE(second.attached());
  EXPECT_EQ(base.size(), 1U);
  second.attach();
  base.dispatch();
  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(AllocationTest, ATimerWithoutMemoryIsNotAttached) {
  Base base(options());
  Timer timer(base, recorder.note(1));
  {
    const FailingCall failing(Call::realloc, ENOMEM);
    EXPECT_EQ(timer.try_attach(1s), system_error(ENOMEM));
  }
  EXPECT_FALSE(timer.attached());
  EXPECT_EQ(timer.deadline(), std::nullopt);

  timer.attach(1s);
  base.dispatch();

  EXPECT_EQ(recorder.order, (Order{1}));
}

BACKEND_TEST(AllocationTest, AnEventThatHasNoDeadlineGetsNoneWithoutMemory) {
  const Pipe pipe = make_pipe();
  Base base(options());
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach();
  std::error_code error;
  {
    const FailingCall failing(Call::realloc, ENOMEM);
    error = thrown_by([&] { event.rearm(1s); });
  }
  EXPECT_EQ(error, system_error(ENOMEM));
  EXPECT_TRUE(event.attached());
  EXPECT_EQ(event.deadline(), std::nullopt);
  EXPECT_EQ(event.timeout(), Duration::zero());

  event.rearm(1s);
  base.dispatch();

  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

BACKEND_TEST(AllocationTest, RearmWithoutMemoryMovesTheTimerOrChangesNothing) {
  Base base(options());
  Timer timer(base, recorder.note(1));
  timer.attach(1s);
  const TimePoint start = time.now();
  std::error_code error;
  {
    const NoMemory none;
    error = thrown_by([&] { timer.rearm(5s); });
  }
  const Duration expected = error ? 1s : 5s;
  EXPECT_EQ(timer.deadline(), start + expected);
  EXPECT_EQ(timer.timeout(), expected);

  base.dispatch();

  EXPECT_EQ(time.now(), start + expected);
}

BACKEND_TEST(AllocationTest, ADispatchWithoutMemoryRunsEverything) {
  Base base(options());
  Load load(base, 3, 3);
  load.attach();
  time.advance(1s);
  int posted = 0;
  base.post([&posted] { ++posted; });
  {
    const NoMemory none;
    base.dispatch();
  }

  EXPECT_EQ(load.fired(), load.size());
  EXPECT_EQ(posted, 1);
}

BACKEND_TEST(AllocationTest, APostForWhichThereIsNoSlotRunsOnceThereIsOne) {
  constexpr std::size_t kAllSlots = 64;
  Base base(options());
  Load load(base, kAllSlots, 0);
  load.attach();
  int posted = 0;
  base.post([&posted] { ++posted; });
  {
    const NoMemory none;
    base.loop(RunMode::nonblock);
  }
  EXPECT_EQ(load.fired(), kAllSlots);
  EXPECT_EQ(posted, 0);

  base.dispatch();

  EXPECT_EQ(posted, 1);
}

// A coroutine that stops at its end, so that its handle can be resumed once.
struct Resumed {
  struct promise_type {
    Resumed get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};
Resumed increment(int& count) {
  ++count;
  co_return;
}

BACKEND_TEST(AllocationTest, APostedCoroutineHandleOrPairOfPointersAllocatesNothing) {
  struct Pair {
    void (*function)(void*);
    void* argument;
    void operator()() const { function(argument); }
  };
  constexpr int kPosts = 100;
  Base base(options());
  int resumed = 0;
  int called = 0;
  const Pair pair{[](void* count) { ++*static_cast<int*>(count); }, &called};
  for (int round = 0; round < 10; ++round) {  // the queues grow to the size of a round
    for (int i = 0; i < 2 * kPosts; ++i) base.post([] {});
    base.dispatch();
  }
  std::deque<Resumed> coroutines;
  for (int i = 0; i < kPosts; ++i) coroutines.push_back(increment(resumed));

  EXPECT_EQ(allocated_by([&] {
              for (const Resumed& coroutine : coroutines) {
                base.post(std::coroutine_handle<>(coroutine.handle));
                base.post(pair);
              }
            }),
            0U);
  base.dispatch();
  EXPECT_EQ(resumed, kPosts);
  EXPECT_EQ(called, kPosts);
  for (const Resumed& coroutine : coroutines) coroutine.handle.destroy();
}

// activate() cannot report an error.
BACKEND_TEST(AllocationTest, ActivateNeedsNoMemory) {
  const bool succeeded = succeeds_in_child([this] {
    Base base(options());
    std::deque<Timer> timers;
    for (int i = 0; i < 64; ++i) timers.emplace_back(base, recorder.note(i));
    for (Timer& timer : timers) timer.attach(1h);
    {
      const NoMemory none;
      for (Timer& timer : timers) timer.activate(Events::timeout);
    }
    base.dispatch();
    EXPECT_EQ(recorder.order.size(), timers.size());
  });

  EXPECT_TRUE(succeeded);
}

BACKEND_TEST(AllocationTest, ActivatingAndDetachingAgainAndAgainTakesNoRoom) {
  const bool succeeded = succeeds_in_child([this] {
    Base base(options());
    Timer timer(base, [] {});
    const NoMemory none;
    for (int i = 0; i < 1000; ++i) {
      timer.activate(Events::timeout);
      timer.detach();
    }
  });

  EXPECT_TRUE(succeeded);
}

}  // namespace
}  // namespace event_cpp::test
