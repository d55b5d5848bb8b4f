// Watches: what the owner of an event asks for, and what becomes active, without a loop that runs.
#include "loop/watches.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "event/error.hpp"
#include "event/manual_time.hpp"
#include "support/descriptors.hpp"
#include "support/printing.hpp"
#include "support/tiny_loop.hpp"

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;
using detail::Node;
using detail::Outcome;

class WatchesTest : public testing::Test {
 protected:
  using Fired = std::vector<std::pair<Node*, Events>>;

  Node& make(int fd, Events events, Priority priority = Priority::middle) {
    return nodes.emplace_back(&kNoOps, nullptr, fd, events, priority);
  }
  Outcome attach(Node& node, Duration timeout = {}) {
    return watches.attach(node, timeout, timeout);
  }

  // As a loop does it, up to the callbacks.
  void collect() {
    EXPECT_EQ(watches.table().flush(), 0);
    watches.clock().begin_iteration();
    watches.kernel().wait(TimePoint::max(), false);
    watches.kernel().batch().expired = true;
    watches.collect();
  }
  Fired run() {
    Fired fired;
    for (std::size_t level = 0; level < detail::kPriorities; ++level) {
      detail::ActiveQueue& queue = watches.active()[level];
      while (queue.slots() > 0) {
        Node* const node = queue.pop();
        if (detail::ActiveQueue::is_node(node)) fired.emplace_back(node, watches.take_fired(*node));
      }
    }
    static_cast<void>(watches.active().rewind());
    return fired;
  }
  Fired iterate() {
    collect();
    return run();
  }

  ManualTime time{ManualTime::Mode::advance_only};
  std::deque<Node> nodes;
  Pipe pipe = readable_pipe();
  detail::Watches watches{nullptr, {.time = &time}};

  ~WatchesTest() override { watches.clear(); }
};

TEST_F(WatchesTest, FiresWhatIsReadyAndWasAskedFor) {
  Node& reader = make(pipe.reader.get(), Events::read | Events::persist);
  Node& writer = make(pipe.writer.get(), Events::write, Priority::high);
  EXPECT_FALSE(attach(reader).failed());
  EXPECT_FALSE(attach(writer).failed());

  EXPECT_EQ(iterate(), (Fired{{&writer, Events::write}, {&reader, Events::read}}));

  EXPECT_EQ(iterate(), (Fired{{&reader, Events::read}}));
  EXPECT_FALSE(writer.attached);
}

TEST_F(WatchesTest, RefusesWhatCannotBeWaitedFor) {
  Node& nothing = make(-1, Events::none);
  Node& no_fd = make(-1, Events::read);
  Node& twice = make(pipe.reader.get(), Events::read);
  ASSERT_FALSE(attach(twice).failed());

  EXPECT_EQ(attach(nothing).code(), Errc::nothing_to_wait_for);
  EXPECT_EQ(attach(no_fd).code(), Errc::descriptor_missing);
  EXPECT_EQ(attach(twice).code(), Errc::already_attached);

  EXPECT_EQ(watches.size(), 1U);
}

TEST_F(WatchesTest, ChangesNothingIfTheKernelRefuses) {
  Node& node = make(closed_number(), Events::read);

  EXPECT_EQ(attach(node, 1s).code().value(), EBADF);

  EXPECT_FALSE(node.attached);
  EXPECT_EQ(watches.size(), 0U);
  EXPECT_EQ(watches.deadline(node), std::nullopt);
  EXPECT_EQ(watches.next_timer(), TimePoint::max());
}

TEST_F(WatchesTest, FiresATimerOnceItsDeadlineHasPassed) {
  Node& timer = make(-1, Events::timeout);
  ASSERT_FALSE(attach(timer, 2s).failed());

  time.advance(1s);
  EXPECT_EQ(iterate(), Fired{});
  time.advance(1s);
  EXPECT_EQ(iterate(), (Fired{{&timer, Events::timeout}}));

  EXPECT_EQ(watches.stats().timers, 1U);
  EXPECT_EQ(watches.size(), 0U);
}

TEST_F(WatchesTest, CountsATimeBelowZeroAsPassed) {
  Node& timer = make(-1, Events::timeout);
  ASSERT_FALSE(attach(timer, -1s).failed());

  EXPECT_EQ(iterate(), (Fired{{&timer, Events::timeout}}));
}

TEST_F(WatchesTest, StartsTheTimeoutAnewBeforeTheCallback) {
  Node& node = make(pipe.reader.get(), Events::read | Events::persist);
  ASSERT_FALSE(attach(node, 3s).failed());
  time.advance(2s);

  EXPECT_EQ(iterate(), (Fired{{&node, Events::read}}));

  EXPECT_EQ(watches.deadline(node), time.now() + 3s);
}

TEST_F(WatchesTest, KeepsTheScheduleOfATicker) {
  Node& ticker = make(-1, Events::timeout | Events::persist);
  ASSERT_FALSE(watches.attach_ticker_at(ticker, time.now() + 1s, 1s).failed());
  time.advance(1500ms);

  EXPECT_EQ(iterate(), (Fired{{&ticker, Events::timeout}}));

  EXPECT_EQ(watches.deadline(ticker), time.now() + 500ms);
}

TEST_F(WatchesTest, CallsOffWhatWasDueWhenItIsDetachedOrRearmed) {
  Node& detached = make(pipe.reader.get(), Events::read);
  Node& rearmed = make(-1, Events::timeout);
  ASSERT_FALSE(attach(detached).failed());
  ASSERT_FALSE(attach(rearmed).failed());
  collect();
  ASSERT_EQ(watches.active().size(), 2U);

  EXPECT_TRUE(watches.detach(detached));
  EXPECT_FALSE(watches.rearm(rearmed, 1s).failed());

  EXPECT_EQ(run(), Fired{});
  EXPECT_EQ(watches.deadline(rearmed), time.now() + 1s);
}

TEST_F(WatchesTest, CallsOffWhatIsNotAskedForAnyMore) {
  Node& node = make(pipe.reader.get(), Events::read | Events::persist);
  ASSERT_FALSE(attach(node).failed());
  collect();

  EXPECT_FALSE(watches.modify(node, Events::closed | Events::persist).failed());

  EXPECT_EQ(run(), Fired{});
  EXPECT_EQ(iterate(), Fired{});
  EXPECT_TRUE(node.attached);
}

TEST_F(WatchesTest, TakesASingleReadyEventWithoutQueueing) {
  Node& node = make(pipe.reader.get(), Events::read | Events::persist);
  Node& other = make(pipe.writer.get(), Events::write | Events::persist);
  ASSERT_FALSE(attach(node).failed());
  const auto take_only = [&] {
    watches.kernel().wait(TimePoint::max(), false);
    watches.kernel().batch().expired = false;
    Events fired{};
    Node* const only = watches.take_only(fired);
    return std::pair(only, fired);
  };

  EXPECT_EQ(take_only(), std::pair(&node, Events::read));
  EXPECT_TRUE(watches.kernel().batch().taken());

  ASSERT_FALSE(attach(other).failed());
  EXPECT_EQ(take_only().first, nullptr);
  watches.collect();
  EXPECT_EQ(run().size(), 2U) << "both are still there";
}

TEST_F(WatchesTest, KnowsWhetherAnythingMoreUrgentIsAttached) {
  Node& middle = make(-1, Events::timeout, Priority::middle);
  ASSERT_FALSE(attach(middle, 1s).failed());
  EXPECT_FALSE(watches.any_attached_above(1));
  EXPECT_TRUE(watches.any_attached_above(2));

  watches.set_priority(middle, Priority::high);

  EXPECT_TRUE(watches.any_attached_above(1));
}

TEST_F(WatchesTest, IsKeptAliveByWhatDoesNotSayOtherwise) {
  Node& node = make(-1, Events::timeout);
  ASSERT_FALSE(attach(node, 1s).failed());
  EXPECT_TRUE(watches.any_keeps_alive());

  watches.set_keeps_alive(node, false);

  EXPECT_FALSE(watches.any_keeps_alive());
}

TEST_F(WatchesTest, LetsGoOfEveryEventThatIsAttachedOrActive) {
  Node& reader = make(pipe.reader.get(), Events::read);
  Node& timer = make(-1, Events::timeout);
  Node& activated = make(-1, Events::none);
  ASSERT_FALSE(attach(reader).failed());
  ASSERT_FALSE(attach(timer, 1s).failed());
  watches.activate(activated, Events::read);

  watches.clear();

  EXPECT_EQ(watches.size(), 0U);
  for (const Node& node : nodes) EXPECT_FALSE(node.in_use());
}

}  // namespace
}  // namespace event_cpp::test
