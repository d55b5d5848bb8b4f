// The timer queue: which deadline comes first, in every order of setting, moving and removing.
#include "loop/timer_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <new>
#include <set>
#include <vector>

#include "support/failing_call.hpp"
#include "support/failing_new.hpp"
#include "support/seeded_random.hpp"
#include "support/timer_script.hpp"

namespace event_cpp::test {
namespace {

using detail::Node;
using detail::TimerForm;
using detail::TimerQueue;

constexpr TimePoint at(std::int64_t n) { return TimePoint(Duration(n)); }

Node make_node(int fd) { return {nullptr, nullptr, fd, Events::timeout, Priority::middle}; }

// Every test runs with nodes without a descriptor, which need the least memory, and with others.
class QueuedTimerTest : public testing::TestWithParam<int> {
 protected:
  Node& make() { return nodes.emplace_back(make_node(GetParam())); }

  std::vector<Node*> make(std::size_t count) {
    std::vector<Node*> made;
    for (std::size_t i = 0; i < count; ++i) made.push_back(&make());
    return made;
  }

  // Takes out all that is due, in order.
  std::vector<Node*> pop_due(TimePoint now) {
    std::vector<Node*> popped;
    while (Node* const node = queue.due(now)) {
      queue.pop(*node);
      popped.push_back(node);
    }
    return popped;
  }

  std::deque<Node> nodes;
  TimerQueue queue;
};

INSTANTIATE_TEST_SUITE_P(Descriptor, QueuedTimerTest, testing::Values(-1, 5),
                         [](const auto& about) { return about.param < 0 ? "Without" : "With"; });

TEST_P(QueuedTimerTest, IsNotThereAtFirst) {
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0U);
  EXPECT_EQ(queue.due(TimePoint::max()), nullptr);
  EXPECT_TRUE(queue.check_invariants());
}

TEST_P(QueuedTimerTest, IsDueWhenItsDeadlineHasComeAndNotBefore) {
  Node& node = make();

  queue.set(node, at(10));

  EXPECT_EQ(queue.next(), at(10));
  EXPECT_EQ(queue.deadline(node), at(10));
  EXPECT_EQ(queue.due(at(9)), nullptr);
  EXPECT_EQ(queue.due(at(10)), &node);
  EXPECT_EQ(queue.due(at(10)), &node) << "it is left where it is";
}

TEST_P(QueuedTimerTest, ComesInTheOrderOfDeadlines) {
  const std::vector<Node*> made = make(5);
  const std::int64_t deadlines[] = {30, 10, 50, 20, 40};
  for (std::size_t i = 0; i < 5; ++i) queue.set(*made[i], at(deadlines[i]));

  EXPECT_EQ(pop_due(at(45)), (std::vector{made[1], made[3], made[0], made[4]}));
  EXPECT_EQ(queue.size(), 1U);
}

TEST_P(QueuedTimerTest, WithAnEqualDeadlineComesInTheOrderOfSetting) {
  const std::vector<Node*> made = make(10'000);

  for (Node* const node : made) queue.set(*node, at(10));

  EXPECT_EQ(pop_due(at(10)), made);
}

TEST_P(QueuedTimerTest, ComesAfterEqualOnesWhenItIsMovedLaterToTheirs) {
  const std::vector<Node*> made = make(3);
  queue.set(*made[0], at(10));
  queue.set(*made[1], at(20));
  queue.set(*made[0], at(20));
  queue.set(*made[2], at(20));

  EXPECT_EQ(pop_due(at(20)), (std::vector{made[1], made[0], made[2]}));
}

TEST_P(QueuedTimerTest, ComesAfterEqualOnesWhenItIsMovedEarlierToTheirs) {
  const std::vector<Node*> made = make(3);
  queue.set(*made[0], at(30));
  queue.set(*made[1], at(20));
  queue.set(*made[0], at(20));
  queue.set(*made[2], at(20));

  EXPECT_EQ(pop_due(at(20)), (std::vector{made[1], made[0], made[2]}));
}

TEST_P(QueuedTimerTest, ComesAfterEqualOnesWhenItIsMovedLaterAndBack) {
  const std::vector<Node*> made = make(3);
  for (Node* const node : made) queue.set(*node, at(20));

  queue.set(*made[0], at(30));
  queue.set(*made[0], at(20));

  EXPECT_EQ(pop_due(at(20)), (std::vector{made[1], made[2], made[0]}));
}

TEST_P(QueuedTimerTest, ComesAfterEqualOnesWhenItIsSetAgainToTheirs) {
  const std::vector<Node*> made = make(3);
  for (Node* const node : made) queue.set(*node, at(20));

  queue.set(*made[0], at(20));

  EXPECT_EQ(pop_due(at(20)), (std::vector{made[1], made[2], made[0]}));
}

TEST_P(QueuedTimerTest, IsOnlyNotedWhenItIsMovedLater) {
  const std::vector<Node*> made = make(2);
  queue.set(*made[0], at(10));
  queue.set(*made[1], at(40));

  for (std::int64_t i = 11; i <= 30; ++i) queue.set(*made[0], at(i));

  EXPECT_EQ(queue.next(), at(10)) << "the old deadline stands in the heap";
  EXPECT_EQ(queue.deadline(*made[0]), at(30));
  EXPECT_EQ(queue.due(at(9)), nullptr);
  EXPECT_EQ(queue.next(), at(10)) << "it did not come up";
  EXPECT_EQ(queue.due(at(29)), nullptr);
  EXPECT_EQ(queue.next(), at(30)) << "it came up, and was put in its place";
  EXPECT_EQ(queue.due(at(30)), made[0]);
}

TEST_P(QueuedTimerTest, IsMovedEarlierAtOnce) {
  const std::vector<Node*> made = make(20);
  for (std::size_t i = 0; i < made.size(); ++i) queue.set(*made[i], at(100));

  queue.set(*made[19], at(7));

  EXPECT_EQ(queue.next(), at(7));
  EXPECT_EQ(queue.due(at(7)), made[19]);
  EXPECT_TRUE(queue.check_invariants());
}

TEST_P(QueuedTimerTest, MayBeMovedEarlierAgainAfterItWasMovedLater) {
  const std::vector<Node*> made = make(2);
  queue.set(*made[0], at(10));
  queue.set(*made[0], at(50));
  queue.set(*made[1], at(20));

  queue.set(*made[0], at(30));
  EXPECT_EQ(queue.deadline(*made[0]), at(30));
  queue.set(*made[0], at(5));

  EXPECT_EQ(pop_due(at(30)), (std::vector{made[0], made[1]}));
}

TEST_P(QueuedTimerTest, IsForgottenWhenItIsRemoved) {
  const std::vector<Node*> made = make(3);
  for (Node* const node : made) queue.set(*node, at(10));

  queue.remove(*made[1]);

  EXPECT_EQ(made[1]->timer_form, TimerForm::none);
  EXPECT_EQ(made[1]->fd(), GetParam());
  EXPECT_EQ(pop_due(at(10)), (std::vector{made[0], made[2]}));
}

TEST_P(QueuedTimerTest, MayBeRemovedAlsoWhenItsDeadlineWasMoved) {
  const std::vector<Node*> made = make(100);
  for (Node* const node : made) queue.set(*node, at(10));
  for (Node* const node : made) queue.set(*node, at(20));

  for (Node* const node : made) queue.remove(*node);

  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.due(TimePoint::max()), nullptr);
}

TEST_P(QueuedTimerTest, StaysTimedWhenItIsPopped) {
  Node& node = make();
  queue.set(node, at(10));

  queue.pop(*queue.due(at(10)));

  EXPECT_TRUE(queue.empty());
  EXPECT_NE(node.timer_form, TimerForm::none);
  EXPECT_EQ(node.fd(), GetParam());
  queue.remove(node);
  EXPECT_EQ(node.timer_form, TimerForm::none);
}

TEST_P(QueuedTimerTest, NeedsNoMemoryToBeSetAgainAfterItWasPopped) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  const std::vector<Node*> made = make(1000);
  for (Node* const node : made) queue.set(*node, at(10));
  pop_due(at(10));
  // What became of the room in the heap matters when others have come in between.
  const std::vector<Node*> others = make(500);
  for (Node* const node : others) queue.set(*node, at(15));
  const CountingCall reallocations(Call::realloc);
  const CountingNew calls;

  for (Node* const node : made) queue.set(*node, at(20));

  EXPECT_EQ(calls.count(), 0U);
  EXPECT_EQ(reallocations.count(), 0U);
  EXPECT_EQ(queue.size(), 1500U);
}

TEST_P(QueuedTimerTest, NeedsNoMemoryIfItWasReserved) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  const std::vector<Node*> made = make(1000);
  queue.reserve(1000);
  const CountingCall reallocations(Call::realloc);
  const CountingNew calls;

  for (Node* const node : made) queue.set(*node, at(10));
  for (Node* const node : made) queue.set(*node, at(20));

  EXPECT_EQ(calls.count(), 0U);
  EXPECT_EQ(reallocations.count(), 0U);
}

TEST_P(QueuedTimerTest, NeedsNoMoreMemoryHoweverManyAreRemoved) {
  const std::vector<Node*> made = make(200);
  Random random(1);
  queue.reserve(100);
  const CountingCall reallocations(Call::realloc);

  for (int i = 0; i < 20'000; ++i) {
    Node& node = *made[random.below(made.size())];
    queue.remove(node);
    if (queue.size() < 100) queue.set(node, at(static_cast<int>(random.below(1000))));
    if (random.one_in(50)) {
      for (Node* const due : pop_due(at(20))) queue.remove(*due);
    }
    if (i % 64 == 0) {
      ASSERT_TRUE(queue.check_invariants());
    }
  }

  EXPECT_EQ(reallocations.count(), 0U);
}

TEST_P(QueuedTimerTest, MayBeRemovedInAnyOrder) {
  for (const unsigned seed : kSeeds) {
    Random random(seed);
    std::vector<Node*> made = make(3000);
    for (std::size_t i = 0; i < made.size(); ++i)
      queue.set(*made[i], at(static_cast<int>(i % 700)));
    std::vector<Node*> left;

    for (Node* const node : made) {
      if (random.one_in(10)) {
        left.push_back(node);
      } else {
        queue.remove(*node);
      }
    }

    ASSERT_TRUE(queue.check_invariants());
    std::stable_sort(left.begin(), left.end(), [this](const Node* a, const Node* b) {
      return queue.deadline(*a) < queue.deadline(*b);
    });
    ASSERT_EQ(pop_due(at(700)), left) << "with seed " << seed;
    ASSERT_TRUE(queue.empty());
  }
}

// The rest of those with the same deadline when the first of them was found due.
class TiedTimerTest : public QueuedTimerTest {
 protected:
  // Ten at 10, of which the first one was popped.
  TiedTimerTest() {
    for (Node* const node : made) queue.set(*node, at(10));
    queue.pop(*queue.due(at(10)));
  }

  std::vector<Node*> made = make(10);
};

INSTANTIATE_TEST_SUITE_P(Descriptor, TiedTimerTest, testing::Values(-1, 5),
                         [](const auto& about) { return about.param < 0 ? "Without" : "With"; });

TEST_P(TiedTimerTest, IsCountedAndSeen) {
  std::set<const Node*> seen;
  queue.for_each([&](const Node& node) { seen.insert(&node); });

  EXPECT_EQ(queue.size(), 9U);
  EXPECT_EQ(queue.deadline(*made[5]), at(10));
  EXPECT_EQ(seen, std::set<const Node*>(made.begin() + 1, made.end()));
  EXPECT_TRUE(queue.check_invariants());
}

TEST_P(TiedTimerTest, MayBeRemoved) {
  for (const std::size_t i : {1U, 2U, 5U, 9U}) queue.remove(*made[i]);

  EXPECT_EQ(queue.size(), 5U);
  EXPECT_TRUE(queue.check_invariants());
  EXPECT_EQ(pop_due(at(10)), (std::vector{made[3], made[4], made[6], made[7], made[8]}));
  EXPECT_TRUE(queue.check_invariants());
}

TEST_P(TiedTimerTest, MayBeRemovedAsAllOthers) {
  Node& later = make();
  queue.set(later, at(11));
  for (Node* const node : made) queue.remove(*node);

  EXPECT_EQ(queue.next(), at(11));
  EXPECT_EQ(pop_due(at(20)), (std::vector{&later}));
  EXPECT_TRUE(queue.empty());
}

TEST_P(TiedTimerTest, MayBeMovedLater) {
  for (const std::size_t i : {1U, 4U, 9U, 3U}) queue.set(*made[i], at(15));

  EXPECT_EQ(pop_due(at(10)), (std::vector{made[2], made[5], made[6], made[7], made[8]}));
  EXPECT_TRUE(queue.check_invariants());
  EXPECT_EQ(pop_due(at(15)), (std::vector{made[1], made[4], made[9], made[3]}));
}

TEST_P(TiedTimerTest, MayBeMovedEarlier) {
  queue.set(*made[4], at(7));

  EXPECT_TRUE(queue.check_invariants());
  EXPECT_EQ(pop_due(at(10)), (std::vector{made[4], made[1], made[2], made[3], made[5], made[6],
                                          made[7], made[8], made[9]}));
}

TEST_P(TiedTimerTest, ComesAfterTheOthersWhenItIsSetAgain) {
  queue.set(*made[3], at(10));

  EXPECT_EQ(pop_due(at(10)), (std::vector{made[1], made[2], made[4], made[5], made[6], made[7],
                                          made[8], made[9], made[3]}));
}

TEST_P(TiedTimerTest, ComesBeforeThoseThatAreSetToItsDeadlineMeanwhile) {
  const std::vector<Node*> others = make(5);
  for (Node* const node : others) queue.set(*node, at(10));
  std::vector<Node*> expected(made.begin() + 1, made.end());
  expected.insert(expected.end(), others.begin(), others.end());

  EXPECT_EQ(pop_due(at(10)), expected);
}

TEST_P(TiedTimerTest, ComesAfterThoseThatAreSetEarlierMeanwhile) {
  const std::vector<Node*> others = make(5);
  for (Node* const node : others) queue.set(*node, at(8));
  std::vector<Node*> expected = others;
  expected.insert(expected.end(), made.begin() + 1, made.end());

  EXPECT_EQ(pop_due(at(10)), expected);
}

TEST_P(TiedTimerTest, KeepsItsOrderWhenAnEarlierOneComesAndGoes) {
  Node& other = make();
  queue.set(other, at(8));
  queue.remove(other);

  EXPECT_TRUE(queue.check_invariants());
  EXPECT_EQ(pop_due(at(10)), std::vector(made.begin() + 1, made.end()));
}

TEST_P(TiedTimerTest, KeepsItsOrderWhenRoomIsMade) {
  queue.reserve(1000);
  EXPECT_TRUE(queue.check_invariants());
  const std::vector<Node*> others = make(10'000);
  for (Node* const node : others) queue.set(*node, at(11));

  EXPECT_TRUE(queue.check_invariants());
  EXPECT_EQ(pop_due(at(10)), std::vector(made.begin() + 1, made.end()));
  EXPECT_EQ(pop_due(at(11)), others);
}

TEST_P(TiedTimerTest, IsForgottenWhenTheQueueIsCleared) {
  std::set<Node*> cleared;

  queue.clear([&](Node& node) { cleared.insert(&node); });

  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(cleared, std::set(made.begin() + 1, made.end()));
}

TEST_P(QueuedTimerTest, WithAnEqualDeadlineKeepsItsOrderAmongMoves) {
  const std::vector<Node*> made = make(600);
  std::vector<Node*> expected;
  for (Node* const node : made) queue.set(*node, at(10));
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (i % 3 == 0) queue.remove(*made[i]);
    if (i % 3 == 1) queue.set(*made[i], at(i % 2 == 0 ? 11 : 12));
    if (i % 3 == 2) expected.push_back(made[i]);
  }

  EXPECT_EQ(pop_due(at(10)), expected);
  EXPECT_TRUE(queue.check_invariants());
  EXPECT_EQ(pop_due(at(12)).size(), 200U);
}

TEST_P(QueuedTimerTest, GetsAnotherDeadlineWhereItIsDue) {
  const std::vector<Node*> made = make(3);
  for (std::size_t i = 0; i < 3; ++i) queue.set(*made[i], at(10 + static_cast<int>(i)));

  queue.move_first(*queue.due(at(10)), at(12));

  EXPECT_EQ(queue.deadline(*made[0]), at(12));
  EXPECT_EQ(queue.size(), 3U);
  EXPECT_EQ(pop_due(at(12)), (std::vector{made[1], made[2], made[0]}));
}

TEST_P(QueuedTimerTest, MayNeverBeDue) {
  const std::vector<Node*> made = make(2);

  queue.set(*made[0], TimePoint::max());
  queue.set(*made[1], at(10));

  EXPECT_EQ(pop_due(TimePoint::max() - Duration(1)), (std::vector{made[1]}));
  EXPECT_EQ(queue.deadline(*made[0]), TimePoint::max());
  EXPECT_EQ(pop_due(TimePoint::max()), (std::vector{made[0]}));
}

TEST_P(QueuedTimerTest, IsForgottenWhenTheQueueIsCleared) {
  const std::vector<Node*> made = make(50);
  for (std::size_t i = 0; i < made.size(); ++i) queue.set(*made[i], at(static_cast<int>(i % 7)));
  for (std::size_t i = 0; i < made.size(); i += 3) queue.set(*made[i], at(20));
  std::set<Node*> cleared;

  queue.clear([&](Node& node) {
    EXPECT_EQ(node.timer_form, TimerForm::none);
    EXPECT_TRUE(cleared.insert(&node).second);
  });

  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(cleared, std::set(made.begin(), made.end()));
}

TEST_P(QueuedTimerTest, ChangesNothingIfThereIsNoMemoryForTheFirst) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  Node& node = make();
  bool thrown = false;
  const auto set = [&] {
    try {
      queue.set(node, at(10));
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
  };
  {
    const FailingCall failing(Call::realloc, ENOMEM);
    set();
  }
  EXPECT_TRUE(thrown);
  for (std::size_t successes = 0; thrown; ++successes) {
    EXPECT_EQ(node.timer_form, TimerForm::none);
    EXPECT_EQ(node.fd(), GetParam());
    EXPECT_TRUE(queue.empty());
    thrown = false;
    const FailingNew after(successes);
    set();
  }
  EXPECT_EQ(queue.due(at(10)), &node);
  EXPECT_TRUE(queue.check_invariants());
}

TEST(TimerWithoutDescriptorTest, KeepsHavingNoneWhateverIsKeptOfIt) {
  Node node = make_node(-1);
  Node below = make_node(-1);
  TimerQueue queue;

  queue.set(node, at(10));
  queue.set(below, at(10));
  EXPECT_EQ(node.timer_form, TimerForm::compact);
  EXPECT_EQ(node.fd(), -1);
  queue.set(node, at(20));
  EXPECT_EQ(node.timer_form, TimerForm::extended);
  EXPECT_EQ(node.fd(), -1);
  queue.remove(node);
  EXPECT_EQ(node.fd(), -1);
}

TEST(TimerWithoutDescriptorTest, IsMovedLaterInItsEntryIfNothingIsBelow) {
  std::deque<Node> nodes(5, make_node(-1));
  TimerQueue queue;
  for (Node& node : nodes) queue.set(node, at(10));
  const CountingCall reallocations(Call::realloc);

  queue.set(nodes[2], at(20));

  EXPECT_EQ(reallocations.count(), 0U);
  EXPECT_EQ(nodes[2].timer_form, TimerForm::compact);
  EXPECT_EQ(queue.deadline(nodes[2]), at(20));
  EXPECT_TRUE(queue.check_invariants());
}

TEST(TimerWithoutDescriptorTest, HasNoDeadlineOnceItIsPopped) {
  Node node = make_node(-1);
  TimerQueue queue;
  queue.set(node, at(10));

  queue.pop(*queue.due(at(10)));

  EXPECT_EQ(queue.deadline(node), std::nullopt);
}

TEST(TimerWithoutDescriptorTest, IsMovedLaterAtOnceWithoutMemory) {
  std::deque<Node> nodes(20, make_node(-1));
  TimerQueue queue;
  for (Node& node : nodes) queue.set(node, at(10));
  {
    const FailingCall failing(Call::realloc, ENOMEM);
    queue.set(nodes[0], at(20));
    queue.set(nodes[7], at(10));
  }

  EXPECT_EQ(nodes[0].timer_form, TimerForm::compact);
  EXPECT_TRUE(queue.check_invariants());
  for (int i = 0; i < 18; ++i) queue.pop(*queue.due(at(10)));
  EXPECT_EQ(queue.due(at(10)), &nodes[7]) << "it was set last";
  queue.pop(nodes[7]);
  EXPECT_EQ(queue.next(), at(20));
  EXPECT_EQ(queue.due(at(20)), &nodes[0]);
}

void expect_as_model(unsigned seed, std::size_t nodes, Duration::rep grid, int steps) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << ", " << nodes << " nodes, grid " << grid);
  Random random(seed);
  TimerScript script(random, nodes, grid);
  for (int step = 0; step < steps; ++step) {
    script.step();
    script.expect_agreement();
    if (testing::Test::HasFatalFailure()) return;
  }
  script.take_all();
  script.expect_agreement();
}

TEST(TimerQueueTest, DoesWhatAModelDoes) {
  for (const unsigned seed : kSeeds) {
    for (const std::size_t nodes : {12U, 60U, 600U}) expect_as_model(seed, nodes, 1, 3000);
  }
}

TEST(TimerQueueTest, DoesWhatAModelDoesIfManyDeadlinesAreEqual) {
  for (const unsigned seed : kSeeds) {
    for (const std::size_t nodes : {2U, 3U, 6U, 60U, 300U}) {
      expect_as_model(seed, nodes, seed % 2 == 0 ? 10 : 40, 3000);
    }
  }
}

}  // namespace
}  // namespace event_cpp::test
