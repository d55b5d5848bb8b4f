// Bases and events die in any order, events also in their own callbacks.
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class LifetimeTest : public EveryBackend {};

BACKEND_TEST(LifetimeTest, LetsADescriptorsEventDestroyItselfInItsCallback) {
  for (const Events options_of_event : {Events::none, Events::persist}) {
    Base base(options());
    const Pipe pipe = readable_pipe();
    std::unique_ptr<Event> event;
    event = std::make_unique<Event>(base, pipe.reader.get(), Events::read | options_of_event,
                                    [&event] { event.reset(); });
    event->attach(1h);

    EXPECT_EQ(run(base), 1U);

    EXPECT_EQ(event, nullptr);
    EXPECT_EQ(base.size(), 0U);
  }
}

BACKEND_TEST(LifetimeTest, LetsATimerAndATickerDestroyThemselvesInTheirCallbacks) {
  Base base(options());
  std::unique_ptr<Timer> timer;
  std::unique_ptr<Ticker> ticker;
  timer = std::make_unique<Timer>(base, [&timer] { timer.reset(); });
  ticker = std::make_unique<Ticker>(base, [&ticker] { ticker.reset(); });

  timer->attach(1s);
  ticker->attach(1s);
  EXPECT_EQ(run(base), 2U);

  EXPECT_EQ(timer, nullptr);
  EXPECT_EQ(ticker, nullptr);
}

BACKEND_TEST(LifetimeTest, LetsAnEventWithALargeCallableDestroyItself) {
  Base base(options());
  const auto shared = std::make_shared<int>(7);
  std::unique_ptr<Event> event;
  event = std::make_unique<Timer>(
      base, [&event, shared, padding = std::vector<int>(100)] { event.reset(); });

  event->attach(1s);
  run(base);

  EXPECT_EQ(shared.use_count(), 1);
}

BACKEND_TEST(LifetimeTest, LetsAnActivatedEventDestroyItself) {
  Base base(options());
  std::unique_ptr<Event> event;
  event = std::make_unique<Timer>(base, [&event] { event.reset(); });

  event->activate(Events::timeout);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(event, nullptr);
}

BACKEND_TEST(LifetimeTest, LetsAPostedFunctionDestroyEventsThatAreActive) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  auto event =
      std::make_unique<Event>(base, pipe.reader.get(), Events::read, Never(), Priority::low);
  auto timer = std::make_unique<Timer>(base, Never(), Priority::low);

  event->attach();
  timer->attach();
  base.post([&] {
    event.reset();
    timer.reset();
  });

  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(LifetimeTest, LetsACallbackReplaceItsOwnEvent) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::optional<Event> event;
  event.emplace(base, pipe.reader.get(), Events::read | Events::persist, [&] {
    std::optional<Event>& place = event;  // what is captured goes with the event
    recorder.order.push_back(1);
    place.emplace(base, pipe.reader.get(), Events::read, recorder.note(2));
    place->attach();
  });

  event->attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

// Bases.

BACKEND_TEST(LifetimeTest, DetachesWhatIsAttachedWhenTheBaseGoesFirst) {
  std::optional<Base> base(std::in_place, options());
  const Pipe pipe = readable_pipe();
  Event event(*base, pipe.reader.get(), Events::read | Events::persist, Never());
  Timer timer(*base, Never());
  Ticker ticker(*base, Never());
  Event idle(*base, pipe.reader.get(), Events::read, Never());
  event.attach(1s);
  timer.attach(1s);
  ticker.attach(1s);

  base.reset();

  for (Event* each : {&event, static_cast<Event*>(&timer), static_cast<Event*>(&ticker), &idle}) {
    EXPECT_FALSE(each->attached());
    EXPECT_FALSE(each->detach());
    EXPECT_EQ(each->deadline(), std::nullopt);
  }
}

BACKEND_TEST(LifetimeTest, LetsEventsThatFiredOrWaitedOutliveTheBase) {
  std::optional<Base> base(std::in_place, options());
  const Pipe pipe = readable_pipe();
  Event fired(*base, pipe.reader.get(), Events::read, recorder.note(1));
  Event detached(*base, pipe.reader.get(), Events::read, Never());
  Timer timer(*base, recorder.note(2));
  fired.attach();
  detached.attach();
  detached.detach();
  timer.attach();
  base->loop(RunMode::nonblock);

  base.reset();

  EXPECT_EQ(recorder.order, (Order{1, 2}));
  EXPECT_FALSE(fired.attached());
}

BACKEND_TEST(LifetimeTest, LetsTheBaseOutliveItsEvents) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  {
    Event event(base, pipe.reader.get(), Events::read | Events::persist, Never());
    Timer timer(base, Never());
    Event active(base, -1, Events::timeout, Never());
    event.attach(1s);
    timer.attach(1s);
    active.activate(Events::timeout);
  }

  EXPECT_EQ(base.size(), 0U);
  time.advance(1h);
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(LifetimeTest, RunsNoCallbackWhenTheBaseIsDestroyed) {
  const auto shared = std::make_shared<int>(0);
  const Pipe pipe = readable_pipe();
  {
    Base base(options());
    Event event(base, pipe.reader.get(), Events::read, Never());
    event.attach(0s);
    event.activate(Events::read);
    base.post([shared] { ADD_FAILURE(); });
    base.after(0s, [shared] { ADD_FAILURE(); });
    base.once(pipe.reader.get(), Events::read, 0s, [shared] { ADD_FAILURE(); });
    EXPECT_EQ(shared.use_count(), 4);
  }
  EXPECT_EQ(shared.use_count(), 1) << "what was posted or owned is freed all the same";
}

BACKEND_TEST(LifetimeTest, LetsTheBaseGoWhileABatchIsHalfRun) {
  const Pipe pipe = readable_pipe();
  std::optional<Base> base(std::in_place, options());
  std::vector<std::unique_ptr<Event>> events;
  for (int i = 0; i < 4; ++i) {
    events.push_back(std::make_unique<Event>(
        *base, pipe.reader.get(), Events::read | Events::persist, [&] { base->stop_now(); }));
    events.back()->attach();
  }
  EXPECT_EQ(base->loop(RunMode::nonblock), 1U);

  base.reset();

  for (const auto& event : events) EXPECT_FALSE(event->attached());
}

BACKEND_TEST(LifetimeTest, FreesWhatACallbackOfAPostedFunctionHolds) {
  Base base(options());
  const auto shared = std::make_shared<int>(0);

  base.post([shared] { ++*shared; });
  base.post([shared, padding = std::array<char, 100>()] { *shared += padding[0] + 1; });
  run(base);

  EXPECT_EQ(*shared, 2);
  EXPECT_EQ(shared.use_count(), 1);
}

BACKEND_TEST(LifetimeTest, DestroysWhatAPostedFunctionHoldsEvenIfThatPosts) {
  struct PostsAtTheEnd {
    PostsAtTheEnd(Base& to, Order& into) : base(&to), order(&into) {}
    PostsAtTheEnd(PostsAtTheEnd&& other) noexcept
        : base(std::exchange(other.base, nullptr)), order(other.order) {}
    ~PostsAtTheEnd() {
      if (base != nullptr) base->post([into = order] { into->push_back(2); });
    }
    void operator()() { order->push_back(1); }
    Base* base;
    Order* order;
  };
  Base base(options());

  base.post(PostsAtTheEnd(base, recorder.order));
  run(base);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

}  // namespace
}  // namespace event_cpp::test
