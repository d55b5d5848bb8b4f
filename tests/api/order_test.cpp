// A source of order picks among what is active at once, and nothing else changes.
#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class SeededOrder : public event_cpp::Order {
 public:
  explicit SeededOrder(std::uint32_t seed) : state_(seed) {}

  std::uint32_t pick(std::uint32_t n) override {
    smallest_choice = std::min(smallest_choice, n);
    state_ = state_ * 1664525U + 1013904223U;
    return (state_ >> 16) % n;
  }

  std::uint32_t smallest_choice = 0xffffffff;

 private:
  std::uint32_t state_;
};

class OrderTest : public EveryBackend {
 public:
  static std::vector<Backend> backends() {
    std::vector<Backend> all = usable_backends();
    all.push_back(Backend::none);
    return all;
  }

 protected:
  static constexpr int kMany = 20;

  Options ordered(event_cpp::Order& order) {
    Options chosen = options();
    chosen.order = &order;
    return chosen;
  }

  // Events that note their number, counted from `first`.
  std::vector<std::unique_ptr<Event>> make(Base& base, int first, Priority priority,
                                           int count = kMany) {
    std::vector<std::unique_ptr<Event>> made;
    for (int i = 0; i < count; ++i) {
      made.push_back(
          std::make_unique<Event>(base, -1, Events::timeout, recorder.note(first + i), priority));
    }
    return made;
  }

  // The order of kMany events, all activated at once, by this seed.
  Order order_by(std::uint32_t seed) {
    recorder.order.clear();
    SeededOrder order(seed);
    Base base(ordered(order));
    const auto events = make(base, 0, Priority::middle);
    for (const auto& event : events) event->activate(Events::read);
    EXPECT_EQ(run(base), static_cast<std::size_t>(kMany));
    EXPECT_GE(order.smallest_choice, 2U);
    return recorder.order;
  }

  static Order numbers(int first, int count) {
    Order all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), first);
    return all;
  }

  // The same in ascending order.
  static Order sorted(Order order) {
    std::sort(order.begin(), order.end());
    return order;
  }
};

BACKEND_TEST(OrderTest, IsTheSameForTheSameSeedAndAnotherForAnother) {
  const Order one = order_by(1);
  EXPECT_EQ(order_by(1), one);
  EXPECT_NE(order_by(2), one);
  EXPECT_NE(one, numbers(0, kMany));
}

BACKEND_TEST(OrderTest, FiresEachEventOnce) {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(sorted(order_by(seed)), numbers(0, kMany));
  }
}

BACKEND_TEST(OrderTest, CanPutEveryEventFirst) {
  Order first;
  for (std::uint32_t seed = 0; seed < 1000; ++seed) first.push_back(order_by(seed * 7919).front());
  first = sorted(first);
  first.erase(std::unique(first.begin(), first.end()), first.end());
  EXPECT_EQ(first, numbers(0, kMany));
}

BACKEND_TEST(OrderTest, LeavesPrioritiesAlone) {
  SeededOrder order(3);
  Base base(ordered(order));
  const auto low = make(base, 200, Priority::low);
  const auto middle = make(base, 100, Priority::middle);
  const auto high = make(base, 0, Priority::high);
  for (const auto* const events : {&low, &middle, &high}) {
    for (const auto& event : *events) event->attach();
  }
  run(base);

  ASSERT_EQ(recorder.order.size(), 3U * kMany);
  const auto of = [&](int nth) {
    const auto begin = recorder.order.begin() + nth * kMany;
    return sorted({begin, begin + kMany});
  };
  EXPECT_EQ(of(0), numbers(0, kMany));
  EXPECT_EQ(of(1), numbers(100, kMany));
  EXPECT_EQ(of(2), numbers(200, kMany));
}

BACKEND_TEST(OrderTest, PicksAmongEqualDeadlinesAndLeavesOthersInOrder) {
  for (const bool manual : {true, false}) {
    recorder.order.clear();
    SeededOrder order(4);
    Options chosen = ordered(order);
    if (!manual) chosen.time = nullptr;
    Base base(chosen);
    const auto later = make(base, 100, Priority::middle);
    const auto sooner = make(base, 0, Priority::middle);
    const TimePoint now = base.now();
    for (const auto& event : later) event->attach_at(now - 1s);
    for (const auto& event : sooner) event->attach_at(now - 2s);
    run(base);

    ASSERT_EQ(recorder.order.size(), 2U * kMany);
    const Order first(recorder.order.begin(), recorder.order.begin() + kMany);
    EXPECT_EQ(sorted(first), numbers(0, kMany));
    EXPECT_NE(first, numbers(0, kMany));
    EXPECT_EQ(sorted(recorder.order).back(), 100 + kMany - 1);
  }
}

BACKEND_TEST(OrderTest, LeavesAlarmsInTheOrderOfTheirDeadlines) {
  SeededOrder order(5);
  Base base(ordered(order));
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (int i = 0; i < kMany; ++i) {
    alarms.push_back(std::make_unique<Alarm>(base, recorder.note(i)));
    alarms.back()->attach(time.wall() + i * 1s);
  }
  time.advance(1h);
  run(base);

  EXPECT_EQ(recorder.order, numbers(0, kMany));
}

BACKEND_TEST(OrderTest, LeavesPostedFunctionsInOrderAmongThemselves) {
  SeededOrder order(6);
  Base base(ordered(order));
  const auto events = make(base, 100, Priority::middle);
  for (const auto& event : events) event->activate(Events::read);
  for (int i = 0; i < kMany; ++i) base.post(recorder.note(i));
  run(base);

  ASSERT_EQ(recorder.order.size(), 2U * kMany);
  std::erase_if(recorder.order, [](int number) { return number >= 100; });
  EXPECT_EQ(recorder.order, numbers(0, kMany));
}

BACKEND_TEST(OrderTest, DoesNotFireWhatIsDetachedBeforeItsTurn) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    recorder.order.clear();
    SeededOrder order(seed);
    Base base(ordered(order));
    auto events = make(base, 0, Priority::middle);
    Event first(base, -1, Events::none, [&] {
      for (auto& event : events) event->detach();
    });
    first.set_priority(Priority::high);
    for (const auto& event : events) event->activate(Events::read);
    first.activate(Events::read);
    events[3].reset();
    events[4]->detach();
    events[3] = std::make_unique<Event>(base, -1, Events::none, Never());
    EXPECT_EQ(run(base), 1U);
    EXPECT_EQ(recorder.order, Order{});
  }
}

BACKEND_TEST(OrderTest, KeepsWhatACallbackDetachesOrDestroysFromFiring) {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    SeededOrder order(seed);
    Base base(ordered(order));
    std::vector<std::unique_ptr<Event>> events(kMany);
    std::size_t fired = 0;
    for (auto& event : events) {
      event = std::make_unique<Event>(base, -1, Events::none, [&](Event& self) {
        ++fired;
        // Half of the others go: each that is left is one that has not fired.
        for (std::size_t i = fired % 2; i < events.size(); i += 2) {
          if (events[i] != nullptr && events[i].get() != &self) events[i].reset();
        }
      });
    }
    for (const auto& event : events) event->activate(Events::read);
    EXPECT_EQ(run(base), fired);
    EXPECT_LE(fired, 3U);
  }
}

BACKEND_TEST(OrderTest, KeepsEverythingActiveIfThePickThrows) {
  struct Failing : event_cpp::Order {
    std::uint32_t pick(std::uint32_t) override {
      if (++picks == 3) throw std::runtime_error("no order");
      return 0;
    }
    int picks = 0;
  };
  Failing order;
  Base base(ordered(order));
  const auto events = make(base, 0, Priority::middle);
  for (const auto& event : events) event->activate(Events::read);
  EXPECT_THROW(base.dispatch(), std::runtime_error);
  EXPECT_EQ(run(base), static_cast<std::size_t>(kMany));
  EXPECT_EQ(sorted(recorder.order), numbers(0, kMany));
}

BACKEND_TEST(OrderTest, HoldsAPickThatIsTooLargeWithinBounds) {
  struct Large : event_cpp::Order {
    std::uint32_t pick(std::uint32_t) override { return 0xffffffff; }
  };
  Large order;
  Base base(ordered(order));
  const auto events = make(base, 0, Priority::middle);
  for (const auto& event : events) event->activate(Events::read);
  run(base);
  EXPECT_EQ(sorted(recorder.order), numbers(0, kMany));
}

BACKEND_TEST(OrderTest, PicksAmongHigherEventsThatOvertakeBetweenSlices) {
  SeededOrder order(7);
  Options chosen = ordered(order);
  chosen.slice = 4;
  Base base(chosen);
  const auto high = make(base, 0, Priority::high);
  const auto low = make(base, 100, Priority::low);
  Event trigger(base, -1, Events::none, [&] {
    base.post([&] {}, Priority::high);
    for (const auto& event : high) event->activate(Events::read);
  });
  trigger.set_priority(Priority::middle);
  trigger.activate(Events::read);
  for (const auto& event : low) event->activate(Events::read);
  run(base);

  ASSERT_EQ(recorder.order.size(), 2U * kMany);
  const auto begin = std::find_if(recorder.order.begin(), recorder.order.end(),
                                  [](int number) { return number < 100; });
  ASSERT_LT(begin - recorder.order.begin(), 4) << "they overtake after a slice";
  const Order overtaking(begin, begin + kMany);
  EXPECT_EQ(sorted(overtaking), numbers(0, kMany));
  EXPECT_NE(overtaking, numbers(0, kMany));
}

}  // namespace
}  // namespace event_cpp::test
