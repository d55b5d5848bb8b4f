// Callbacks that change events which are active in the same batch: every pair of them.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class BatchTest : public EveryBackend {};

constexpr int kEvents = 5;

// Events that all become active in the next iteration, and are noted when they run. Event `actor`
// does something to event `target` when it runs for the first time.
class ReadyBatch {
 public:
  using Action = std::function<void(ReadyBatch&, int target)>;
  enum class Kind { persistent, one_shot, timer, ticker, activated };

  ReadyBatch(Base& base, Kind kind, int actor, int target, Action action)
      : base_(base), actor_(actor), target_(target), action_(std::move(action)) {
    for (int i = 0; i < kEvents; ++i) {
      pipes.push_back(readable_pipe());
      events.push_back(make(kind, i));
      start(kind, *events.back());
    }
  }

  // The order in which the batch runs if the target does not run after the actor.
  Order order_without_target() const {
    Order order;
    for (int i = 0; i < kEvents; ++i) {
      if (i != target_ || i <= actor_) order.push_back(i);
    }
    return order;
  }

  bool target_ran() const {
    return std::count(recorder.order.begin(), recorder.order.end(), target_) > 0;
  }

  Event& target() { return *events[static_cast<std::size_t>(target_)]; }
  Base& base() { return base_; }

  Recorder recorder;
  std::vector<Pipe> pipes;
  std::vector<std::unique_ptr<Event>> events;
  std::unique_ptr<Event> another;

 private:
  std::unique_ptr<Event> make(Kind kind, int i) {
    const auto callback = [this, i] {
      recorder.order.push_back(i);
      if (i == actor_ && action_) std::exchange(action_, nullptr)(*this, target_);
    };
    const int reader = pipes.back().reader.get();
    switch (kind) {
      case Kind::persistent:
        return std::make_unique<Event>(base_, reader, Events::read | Events::persist, callback);
      case Kind::one_shot:
        return std::make_unique<Event>(base_, reader, Events::read, callback);
      case Kind::ticker:
        return std::make_unique<Event>(base_, -1, Events::timeout | Events::persist, callback);
      default:
        return std::make_unique<Event>(base_, -1, Events::timeout, callback);
    }
  }

  static void start(Kind kind, Event& event) {
    if (kind == Kind::activated) {
      event.activate(Events::timeout);
    } else {
      event.attach();
    }
  }

  Base& base_;
  const int actor_;
  const int target_;
  Action action_;
};

using Kind = ReadyBatch::Kind;

const std::vector<Kind>& all_kinds() {
  static const std::vector<Kind> all{Kind::persistent, Kind::one_shot, Kind::timer, Kind::ticker,
                                     Kind::activated};
  return all;
}

// Closes the pipe, and gives the number of its reader to that of a new and empty one.
void replace(Pipe& pipe) {
  const int number = pipe.reader.get();
  Pipe fresh = make_pipe();
  pipe.reader.close();
  pipe = {move_to(number, std::move(fresh.reader)), std::move(fresh.writer)};
}

// Runs one iteration for each kind of event and each pair of them.
void for_every_pair(const Options& options, const std::vector<Kind>& kinds,
                    const ReadyBatch::Action& action,
                    const std::function<void(ReadyBatch&)>& check) {
  for (const Kind kind : kinds) {
    for (int actor = 0; actor < kEvents; ++actor) {
      for (int target = 0; target < kEvents; ++target) {
        SCOPED_TRACE("kind " + std::to_string(static_cast<int>(kind)) + ": " +
                     std::to_string(actor) + " acts on " + std::to_string(target));
        Base base(options);
        ReadyBatch batch(base, kind, actor, target, action);
        base.loop(RunMode::nonblock);
        check(batch);
      }
    }
  }
}

BACKEND_TEST(BatchTest, DoesNotFireAnActiveEventThatACallbackDetaches) {
  for_every_pair(
      options(), all_kinds(), [](ReadyBatch& batch, int) { batch.target().detach(); },
      [](ReadyBatch& batch) {
        EXPECT_EQ(batch.recorder.order, batch.order_without_target());
        EXPECT_FALSE(batch.target().attached());
        batch.recorder.order.clear();
        batch.base().loop(RunMode::nonblock);
        EXPECT_FALSE(batch.target_ran());
      });
}

BACKEND_TEST(BatchTest, DoesNotFireAnActiveEventThatACallbackDestroys) {
  for_every_pair(
      options(), all_kinds(),
      [](ReadyBatch& batch, int target) { batch.events[static_cast<std::size_t>(target)].reset(); },
      [](ReadyBatch& batch) {
        EXPECT_EQ(batch.recorder.order, batch.order_without_target());
        batch.base().loop(RunMode::nonblock);
      });
}

BACKEND_TEST(BatchTest, DoesNotFireAnEventOnANumberThatACallbackClosedAndOpenedAgain) {
  const std::vector<Kind> with_descriptor{Kind::persistent, Kind::one_shot};
  for_every_pair(
      options(), with_descriptor,
      [](ReadyBatch& batch, int target) {
        Pipe& pipe = batch.pipes[static_cast<std::size_t>(target)];
        const int number = pipe.reader.get();
        batch.events[static_cast<std::size_t>(target)].reset();
        replace(pipe);
        batch.another =
            std::make_unique<Event>(batch.base(), number, Events::read, batch.recorder.note(99));
        batch.another->attach();
      },
      [](ReadyBatch& batch) {
        EXPECT_EQ(batch.recorder.order, batch.order_without_target());
        batch.base().loop(RunMode::nonblock);
        EXPECT_TRUE(batch.another->attached()) << "it has nothing to read yet";
      });
}

BACKEND_TEST(BatchTest, DoesNotFireANewEventOnTheNumberOfOneThatWasClosedWhileActive) {
  const std::vector<Kind> with_descriptor{Kind::persistent, Kind::one_shot};
  for_every_pair(
      options(), with_descriptor,
      [](ReadyBatch& batch, int target) {
        Pipe& pipe = batch.pipes[static_cast<std::size_t>(target)];
        const int number = pipe.reader.get();
        replace(pipe);
        batch.another = std::make_unique<Event>(batch.base(), number, Events::read, Never());
        batch.another->attach();
      },
      [](ReadyBatch& batch) {
        batch.base().loop(RunMode::nonblock);
        EXPECT_TRUE(batch.another->attached()) << "it has nothing to read yet";
      });
}

BACKEND_TEST(BatchTest, FiresInTheNextIterationWhatACallbackDetachesAndAttaches) {
  const std::vector<Kind> kinds{Kind::persistent, Kind::one_shot, Kind::timer, Kind::ticker};
  for_every_pair(
      options(), kinds,
      [](ReadyBatch& batch, int) {
        batch.target().detach();
        batch.target().attach();
      },
      [](ReadyBatch& batch) {
        EXPECT_EQ(batch.recorder.order, batch.order_without_target());
        const std::size_t ran = batch.recorder.order.size();
        batch.base().loop(RunMode::nonblock);
        EXPECT_GT(batch.recorder.order.size(), ran) << "the target at least";
      });
}

BACKEND_TEST(BatchTest, FiresEveryActiveEventAlthoughACallbackMovesDeadlines) {
  const std::vector<Kind> kinds{Kind::persistent, Kind::one_shot};
  for_every_pair(
      options(), kinds,
      [](ReadyBatch& batch, int) {
        if (batch.target().attached()) batch.target().rearm(1h);
      },
      [](ReadyBatch& batch) {
        EXPECT_EQ(batch.recorder.order, (Order{0, 1, 2, 3, 4}));
      });
}

BACKEND_TEST(BatchTest, DoesNotFireAnEventThatTakesThePlaceOfADestroyedOne) {
  Base base(options());
  const Pipe first = readable_pipe();
  const Pipe second = readable_pipe();
  std::optional<Event> target;
  Event actor(base, first.reader.get(), Events::read, [&] {
    recorder.order.push_back(1);
    target.reset();
    target.emplace(base, second.reader.get(), Events::read, recorder.note(2));
    target->attach();
  });
  actor.attach();
  target.emplace(base, second.reader.get(), Events::read, Never());
  target->attach();

  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(BatchTest, DoesNotFireATickerAgainThatACallbackDetachedWhileItWasDue) {
  Base base(options());
  Ticker target(base, Never());
  Timer actor(base, [&] { EXPECT_TRUE(target.detach()); });

  actor.attach(1s);
  target.attach(2s);
  time.advance(10s);
  base.loop(RunMode::nonblock);
  time.advance(1h);

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(BatchTest, LetsACallbackDestroyEveryEvent) {
  for (int actor = 0; actor < kEvents; ++actor) {
    Base base(options());
    ReadyBatch batch(base, Kind::persistent, actor, actor,
                     [](ReadyBatch& all, int) { all.events.clear(); });

    EXPECT_EQ(base.loop(RunMode::nonblock), static_cast<std::size_t>(actor) + 1);

    EXPECT_EQ(base.size(), 0U);
    EXPECT_EQ(run(base), 0U);
  }
}

BACKEND_TEST(BatchTest, LetsACallbackDestroyEventsOfOtherPriorities) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  auto low = std::make_unique<Event>(base, pipe.reader.get(), Events::read, Never(), Priority::low);
  auto middle = std::make_unique<Timer>(base, Never());
  Timer high(
      base,
      [&] {
        low.reset();
        middle->detach();
      },
      Priority::high);

  low->attach();
  middle->attach();
  high.attach();

  EXPECT_EQ(run(base), 1U);
}

}  // namespace
}  // namespace event_cpp::test
