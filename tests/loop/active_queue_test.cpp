// The queue of what is due to run: its order, its holes, and the room it takes.
#include "loop/active_queue.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <deque>
#include <new>
#include <vector>

#include "support/active_script.hpp"
#include "support/failing_call.hpp"
#include "support/printing.hpp"
#include "support/seeded_random.hpp"

namespace event_cpp::test {
namespace {

using detail::ActiveQueue;
using detail::Node;

std::deque<Node> make_nodes(std::size_t count, Priority priority = Priority::middle) {
  std::deque<Node> nodes;
  for (std::size_t i = 0; i < count; ++i) {
    nodes.emplace_back(nullptr, nullptr, -1, Events::timeout, priority);
  }
  return nodes;
}

// Takes so many slots, and returns what was in them: nodes, posted(), and hole().
std::vector<Node*> pop(ActiveQueue& queue, std::size_t slots) {
  std::vector<Node*> popped;
  for (std::size_t i = 0; i < slots; ++i) popped.push_back(queue.pop());
  return popped;
}

TEST(ActiveQueueTest, IsEmptyAtFirst) {
  const ActiveQueue queue;

  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.slots(), 0U);
}

TEST(ActiveQueueTest, GivesBackInOrderWhatWasPushed) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(3);
  queue.reserve(2);

  queue.push(nodes[0]);
  queue.push_posted(2);
  queue.push(nodes[1]);
  queue.push(nodes[2]);

  EXPECT_EQ(pop(queue, 5), (std::vector<Node*>{&nodes[0], ActiveQueue::posted(),
                                               ActiveQueue::posted(), &nodes[1], &nodes[2]}));
  EXPECT_TRUE(queue.empty());
}

TEST(ActiveQueueTest, GivesBackTheMemoryOfABurstOnceNothingIsInIt) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(1000);
  const auto burst = [&] {
    for (Node& node : nodes) queue.push(node);
    queue.shrink(100);
    EXPECT_EQ(queue.slots(), 1000U);
    for (Node& node : nodes) EXPECT_EQ(queue.pop(), &node);
    queue.rewind();
  };
  burst();
  queue.shrink(100);
  burst();
  queue.shrink(2000);
  burst();
}

TEST(ActiveQueueTest, IsKnownToANodeWhileItWaitsInIt) {
  for (const Priority priority : {Priority::high, Priority::middle, Priority::low}) {
    ActiveQueue queue;
    std::deque<Node> nodes = make_nodes(100, priority);
    for (Node& node : nodes) queue.push(node);

    for (const Node& node : nodes) {
      ASSERT_NE(node.active, Node::kNowhere);
      ASSERT_EQ(ActiveQueue::priority_of(node), priority);
    }
    pop(queue, 50);
    EXPECT_EQ(nodes[49].active, Node::kNowhere);
    EXPECT_NE(nodes[50].active, Node::kNowhere);
  }
}

TEST(ActiveQueueTest, LeavesAHoleWhereANodeWasRemoved) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(3);
  for (Node& node : nodes) queue.push(node);

  queue.remove(nodes[1]);

  EXPECT_EQ(nodes[1].active, Node::kNowhere);
  EXPECT_EQ(queue.slots(), 3U);
  EXPECT_EQ(pop(queue, 3), (std::vector<Node*>{&nodes[0], ActiveQueue::hole(), &nodes[2]}));
}

TEST(ActiveQueueTest, IsEmptyWithNothingButHoles) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(2);
  for (Node& node : nodes) queue.push(node);

  queue.remove(nodes[1]);
  EXPECT_FALSE(queue.empty());
  queue.remove(nodes[0]);
  EXPECT_TRUE(queue.empty());

  pop(queue, 2);
  EXPECT_TRUE(queue.empty());
  queue.push(nodes[0]);
  EXPECT_FALSE(queue.empty());
}

TEST(ActiveQueueTest, PutsANodeThatIsPushedAgainAtTheEnd) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(2);
  for (Node& node : nodes) queue.push(node);

  queue.remove(nodes[0]);
  queue.push(nodes[0]);

  EXPECT_EQ(pop(queue, 3), (std::vector<Node*>{ActiveQueue::hole(), &nodes[1], &nodes[0]}));
}

TEST(ActiveQueueTest, HasNoMoreSlotsForWhatIsPushedDuringARunThanAfterIt) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(200);
  for (std::size_t i = 0; i < 100; ++i) queue.push(nodes[i]);

  // One run: each node that it takes pushes another, and is pushed again itself.
  for (std::size_t i = 0, slots = queue.slots(); i < slots; ++i) {
    Node* const node = queue.pop();
    ASSERT_EQ(node, &nodes[i]);
    queue.push(nodes[100 + i]);
    queue.push(*node);
  }

  EXPECT_EQ(queue.slots(), 200U);
  EXPECT_EQ(queue.pop(), &nodes[100]);
  EXPECT_EQ(queue.pop(), &nodes[0]);
}

TEST(ActiveQueueTest, LetsEveryNodeBeRemovedAfterItGrew) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(10'000);
  for (std::size_t i = 0; i < 60; ++i) queue.push(nodes[i]);
  pop(queue, 50);
  for (std::size_t i = 60; i < nodes.size(); ++i) queue.push(nodes[i]);

  for (std::size_t i = 50; i < nodes.size(); i += 2) queue.remove(nodes[i]);

  for (std::size_t i = 50; i < nodes.size(); ++i) {
    ASSERT_EQ(queue.pop(), i % 2 == 0 ? ActiveQueue::hole() : &nodes[i]) << i;
  }
}

TEST(ActiveQueueTest, UsesTheSlotsAgainThatHaveRun) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(10);
  for (Node& node : nodes) queue.push(node);
  const CountingCall allocations(Call::realloc);

  for (int i = 0; i < 100'000; ++i) queue.push(*queue.pop());

  EXPECT_EQ(allocations.count(), 0U);
  for (Node& node : nodes) EXPECT_EQ(queue.pop(), &node);
}

TEST(ActiveQueueTest, MayBeginAtTheFrontAgainWhenEverythingHasRun) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(64);
  queue.reserve(64);
  const CountingCall allocations(Call::realloc);

  for (int i = 0; i < 100; ++i) {
    for (Node& node : nodes) queue.push(node);
    queue.remove(nodes[63]);
    pop(queue, 64);
    queue.rewind();
  }

  EXPECT_EQ(allocations.count(), 0U);
  EXPECT_TRUE(queue.empty());
}

TEST(ActiveQueueTest, DoesNotBeginAtTheFrontAgainWhileANodeWaits) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(2);
  for (Node& node : nodes) queue.push(node);
  pop(queue, 1);

  queue.rewind();

  ASSERT_EQ(queue.slots(), 1U);
  EXPECT_EQ(queue.pop(), &nodes[1]);
}

TEST(ActiveQueueTest, ForgetsAllItsNodesWhenItIsCleared) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(3);
  queue.reserve(1);
  queue.push(nodes[0]);
  queue.push_posted(1);
  queue.push(nodes[1]);
  queue.push(nodes[2]);
  queue.remove(nodes[1]);
  std::vector<Node*> cleared;

  queue.clear([&](Node& node) { cleared.push_back(&node); });

  EXPECT_EQ(cleared, (std::vector<Node*>{&nodes[0], &nodes[2]}));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.slots(), 0U);
  for (const Node& node : nodes) EXPECT_EQ(node.active, Node::kNowhere);
}

TEST(ActiveQueueTest, AllocatesNothingForWhatRoomWasMadeFor) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(1000);
  queue.reserve(2000);
  const FailingCall failing(Call::realloc, ENOMEM);

  for (Node& node : nodes) queue.push(node);
  queue.push_posted(1000);

  EXPECT_EQ(queue.slots(), 2000U);
}

TEST(ActiveQueueTest, IsAsBeforeIfThereIsNoMemory) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(65);
  for (std::size_t i = 0; i < 64; ++i) queue.push(nodes[i]);
  {
    const FailingCall failing(Call::realloc, ENOMEM, 1, kAlways);
    EXPECT_THROW(queue.push(nodes[64]), std::bad_alloc);
    EXPECT_THROW(queue.reserve(1), std::bad_alloc);
  }

  EXPECT_EQ(nodes[64].active, Node::kNowhere);
  EXPECT_EQ(queue.slots(), 64U);
  queue.push(nodes[64]);
  for (Node& node : nodes) ASSERT_EQ(queue.pop(), &node);
}

TEST(ActiveQueueTest, HasSomeSlotsToSpareForThoseWhoCannotReportAnError) {
  ActiveQueue queue;
  std::deque<Node> nodes = make_nodes(200);
  for (std::size_t i = 0; i < 64; ++i) queue.push(nodes[i]);
  {
    const FailingCall failing(Call::realloc, ENOMEM, 1, kAlways);
    for (std::size_t i = 64; i < 128; ++i) queue.push_from_spare(nodes[i]);
    EXPECT_THROW(queue.push(nodes[128]), std::bad_alloc);
  }
  for (std::size_t i = 128; i < 200; ++i) queue.push(nodes[i]);

  for (std::size_t i = 1; i < 200; i += 2) queue.remove(nodes[i]);
  for (std::size_t i = 0; i < 200; ++i)
    ASSERT_EQ(queue.pop(), i % 2 == 1 ? ActiveQueue::hole() : &nodes[i]);
}

TEST(ActiveQueueTest, KeepsSlotsToSpareBesideThoseThatRoomWasMadeFor) {
  for (std::size_t more = 1; more < 200; ++more) {
    ActiveQueue queue;
    std::deque<Node> nodes = make_nodes(128);
    for (std::size_t i = 0; i < 64; ++i) queue.push(nodes[i]);
    pop(queue, 40);
    queue.reserve(more);
    const FailingCall failing(Call::realloc, ENOMEM, 1, kAlways);

    queue.push_posted(more);
    for (std::size_t i = 64; i < 128; ++i) queue.push_from_spare(nodes[i]);

    ASSERT_EQ(queue.slots(), 24 + more + 64);
    ASSERT_EQ(queue.pop(), &nodes[40]);
  }
}

TEST(ActiveQueueTest, RefusesMoreThanANodeCanNameASlotOf) {
  ActiveQueue queue;

  EXPECT_THROW(queue.reserve((std::size_t{1} << 30) + 1), std::bad_alloc);
  EXPECT_THROW(queue.reserve(~std::size_t{0} / 2), std::bad_alloc);

  EXPECT_EQ(queue.slots(), 0U);
}

TEST(ActiveQueueTest, DoesWhatAModelDoes) {
  for (const unsigned seed : kSeeds) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    ActiveScript script(random, seed % 2 == 0 ? 30 : 1000);
    for (int step = 0; step < 20'000; ++step) {
      script.step();
      script.expect_as_models();
      if (testing::Test::HasFatalFailure()) return;
    }
    script.pop_everything();
    script.expect_as_models();
  }
}

}  // namespace
}  // namespace event_cpp::test
