// The descriptor table: what the kernel is told, when, and who hears of what it reports.
#include "loop/fd_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "support/failing_new.hpp"
#include "support/table_test.hpp"

namespace event_cpp::test {
namespace {

using detail::Node;
using detail::ReadyEvent;

using FdTableTest = TableTest;

TEST_F(FdTableTest, TellsTheKernelAtOnceWhatANodeWants) {
  const std::size_t updates = loop.updates_of([&] { attached(fd, kReads); });

  EXPECT_EQ(backend.registered(fd), Events::read);
  EXPECT_EQ(updates, 1U);
}

TEST_F(FdTableTest, TellsTheKernelWhatAllItsNodesWantTogether) {
  Node& reader = attached(fd, kReads);
  attached(fd, Events::write);
  attached(fd, Events::closed | Events::persist);
  EXPECT_EQ(backend.registered(fd), Events::read | Events::write | Events::closed);

  loop.detach(reader);
  table.flush();

  EXPECT_EQ(backend.registered(fd), Events::write | Events::closed);
}

TEST_F(FdTableTest, TellsTheKernelNothingWhenNothingHasChanged) {
  attached(fd, kReads);

  EXPECT_EQ(loop.updates_of([&] {
    for (int i = 0; i < 10; ++i) loop.iterate();
  }),
            0U);
}

TEST_F(FdTableTest, GivesEachNodeWhatItWantsOfAReport) {
  Node& reader = attached(fd, kReads);
  Node& writer = attached(fd, kWrites);
  Node& both = attached(fd, kReads | kWrites);
  backend.set_ready(fd, Events::read);
  EXPECT_EQ(loop.fired(), (Nodes{&reader, &both}));
  backend.set_ready(fd, Events::read | Events::write);

  const auto reported = loop.iterate();

  ASSERT_EQ(reported.size(), 1U);
  ASSERT_EQ(reported[0].activations.size(), 3U);
  EXPECT_EQ(reported[0].activations[1].node, &writer);
  EXPECT_EQ(reported[0].activations[0].what, Events::read);
  EXPECT_EQ(reported[0].activations[1].what, Events::write);
  EXPECT_EQ(reported[0].activations[2].what, Events::read | Events::write);
}

TEST_F(FdTableTest, FiresNodesInTheOrderInWhichTheyWereAttached) {
  Nodes expected;
  for (int i = 0; i < 10; ++i) expected.push_back(&attached(fd, kReads));
  backend.set_ready(fd, Events::read);

  EXPECT_EQ(loop.fired(), expected);
}

TEST_F(FdTableTest, FiresANodeLastThatWasAttachedAgain) {
  Node& first = attached(fd, Events::read);
  Node& second = attached(fd, kReads);
  Node& third = attached(fd, kReads);
  backend.set_ready(fd, Events::read);
  EXPECT_EQ(loop.fired(), (Nodes{&first, &second, &third}));

  EXPECT_EQ(loop.attach(first), 0);
  EXPECT_EQ(loop.fired(), (Nodes{&second, &third, &first}));

  loop.detach(second);
  EXPECT_EQ(loop.attach(second), 0);
  EXPECT_EQ(loop.fired(), (Nodes{&third, &second}));
}

TEST_F(FdTableTest, MakesNoCallForAOneShotThatIsAttachedAgainAfterItFired) {
  Node& alone = attached(fd, Events::read);
  const int other = open_readable();
  Node& among = attached(other, Events::read);
  attached(other, kReads);
  backend.set_ready(fd, Events::read);

  const std::size_t updates = loop.updates_of([&] {
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(loop.fired().size(), 3U);
      EXPECT_EQ(loop.attach(alone), 0);
      EXPECT_EQ(loop.attach(among), 0);
    }
  });

  EXPECT_EQ(updates, 0U);
}

TEST_F(FdTableTest, MakesOneCallForANodeThatIsAttachedDetachedAndAttached) {
  Node& node = make(fd, kReads);

  const std::size_t updates = loop.updates_of([&] {
    for (int i = 0; i < 5; ++i) {
      loop.detach(node);
      EXPECT_EQ(loop.attach(node), 0);
    }
    table.flush();
  });

  EXPECT_EQ(updates, 1U);
  EXPECT_EQ(backend.registered(fd), Events::read);
}

TEST_F(FdTableTest, MakesOneCallForAllThatIsDetachedFromADescriptor) {
  attached(fd, kReads);
  Nodes others;
  for (int i = 0; i < 10; ++i) others.push_back(&attached(fd, kWrites));

  const std::size_t updates = loop.updates_of([&] {
    for (Node* const node : others) loop.detach(*node);
    EXPECT_EQ(backend.updates, 11U) << "not before the next wait";
    table.flush();
  });

  EXPECT_EQ(updates, 1U);
  EXPECT_EQ(backend.registered(fd), Events::read);
}

TEST_F(FdTableTest, MakesOneCallForEachOfManyDescriptors) {
  constexpr int kMany = 300;
  for (int i = 0; i < kMany; ++i) attached(backend.open(), kReads);

  const std::size_t updates = loop.updates_of([&] {
    for (Node& node : nodes) loop.detach(node);
    table.flush();
  });

  EXPECT_EQ(updates, std::size_t{kMany});
  EXPECT_EQ(backend.registrations(), 0U);
  EXPECT_EQ(loop.updates_of([&] { table.flush(); }), 0U);
}

TEST_F(FdTableTest, TakesBackWhatWasDetachedByHandBeforeTheNextWait) {
  Node& node = attached(fd, kReads);
  backend.set_ready(fd, Events::read);

  loop.detach(node);

  EXPECT_EQ(loop.fired(), Nodes{});
  EXPECT_EQ(backend.registered(fd), std::nullopt);
  EXPECT_FALSE(node.linked);
}

// On a kernel that is best left alone when nobody wants what it was asked for.
class KeepingFdTableTest : public FdTableTest {
 protected:
  KeepingFdTableTest() { backend.prefer_lazy_removal(true); }
};

TEST_F(KeepingFdTableTest, TellsTheKernelNothingOfADetachThatNobodyNotices) {
  Node& node = attached(fd, kReads);

  EXPECT_EQ(loop.updates_of([&] {
    loop.detach(node);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(loop.iterate().empty());
  }),
            0U);
  EXPECT_EQ(backend.registered(fd), Events::read);
}

TEST_F(KeepingFdTableTest, TakesBackWhatIsReportedThoughNobodyWantsIt) {
  Node& node = attached(fd, kReads);
  loop.detach(node);
  loop.iterate();
  backend.set_ready(fd, Events::read);

  EXPECT_EQ(loop.fired(), Nodes{});

  EXPECT_TRUE(loop.iterate().empty());
  EXPECT_EQ(backend.registered(fd), std::nullopt);
  EXPECT_FALSE(node.linked);
}

TEST_F(KeepingFdTableTest, MakesOneCallForANodeThatIsAttachedAgainLater) {
  Node& node = attached(fd, kReads);
  backend.set_ready(fd, Events::none);

  const std::size_t updates = loop.updates_of([&] {
    for (int i = 0; i < 5; ++i) {
      loop.detach(node);
      loop.iterate();
      EXPECT_EQ(loop.attach(node), 0);
      loop.iterate();
    }
  });

  EXPECT_EQ(updates, 5U);
  backend.set_ready(fd, Events::read);
  EXPECT_EQ(loop.fired(), Nodes{&node});
}

TEST_F(KeepingFdTableTest, NoticesThatTheNumberStandsForAnotherFileNow) {
  Node& node = attached(fd, kReads);
  loop.detach(node);
  loop.iterate();
  backend.close(fd);
  ASSERT_EQ(open_readable(), fd);

  EXPECT_EQ(loop.attach(node), 0);

  EXPECT_EQ(loop.fired(), Nodes{&node});
}

TEST_F(KeepingFdTableTest, NoticesThatTheNumberIsClosed) {
  Node& node = attached(fd, kReads);
  loop.detach(node);
  loop.iterate();
  backend.close(fd);

  EXPECT_EQ(loop.attach(node), EBADF);
}

TEST_F(KeepingFdTableTest, MakesOneCallForAnotherNodeOnTheNumbersNextFile) {
  Node& node = attached(fd, kReads);
  loop.detach(node);
  loop.iterate();
  backend.close(fd);
  ASSERT_EQ(open_readable(), fd);
  Node& next = make(fd, kReads);

  EXPECT_EQ(loop.updates_of([&] { EXPECT_EQ(loop.attach(next), 0); }), 1U);

  EXPECT_EQ(loop.fired(), Nodes{&next});
  EXPECT_FALSE(node.linked) << "it knows another file";
}

TEST_F(KeepingFdTableTest, WatchesForAnotherNodeOnTheSameFile) {
  Node& node = attached(fd, kReads);
  loop.detach(node);
  loop.iterate();
  Node& next = attached(fd, kWrites);
  backend.set_ready(fd, Events::read | Events::write);

  EXPECT_EQ(loop.fired(), Nodes{&next});
  EXPECT_EQ(backend.registered(fd), Events::write);
}

TEST_F(KeepingFdTableTest, KeepsTheNodeOfARegistrationIfAnotherCannotBeAdded) {
  Node& node = attached(fd, kReads);
  loop.detach(node);
  loop.iterate();
  Node& next = make(fd, kWrites);
  backend.fail(ENOSPC);

  EXPECT_EQ(loop.attach(next), ENOSPC);

  backend.set_ready(fd, Events::read);
  EXPECT_EQ(loop.fired(), Nodes{});
  EXPECT_EQ(loop.attach(node), 0);
  EXPECT_EQ(loop.fired(), Nodes{&node});
}

TEST_F(KeepingFdTableTest, KeepsNothingThatIsExclusive) {
  Node& detached = attached(fd, kReads | Events::exclusive);
  loop.detach(detached);
  loop.iterate();
  EXPECT_EQ(backend.registered(fd), std::nullopt);

  Node& destroyed = attached(fd, kReads | Events::exclusive);
  loop.release(destroyed);
  EXPECT_EQ(backend.registered(fd), std::nullopt);
}

TEST_F(KeepingFdTableTest, ShowsAnEdgeThatCameWhileNobodyWasInterested) {
  Node& node = attached(fd, kReads | Events::edge);
  loop.detach(node);
  loop.iterate();
  backend.set_ready(fd, Events::read);
  EXPECT_EQ(loop.fired(), Nodes{});

  EXPECT_EQ(loop.attach(node), 0);

  EXPECT_EQ(loop.fired(), Nodes{&node});
}

TEST_F(KeepingFdTableTest, KeepsNothingOnceItShows) {
  const int other = backend.open();
  Node& node = attached(fd, kReads);
  Node& later = attached(other, kReads);
  loop.detach(node);
  loop.iterate();

  table.disable_lazy_removal();
  EXPECT_EQ(backend.registered(fd), std::nullopt);
  loop.detach(later);

  EXPECT_EQ(backend.registered(other), std::nullopt);
}

TEST_F(KeepingFdTableTest, MakesOneCallForAConnectionThatIsServedAndClosed) {
  constexpr int kConnections = 100;

  const std::size_t updates = loop.updates_of([&] {
    for (int i = 0; i < kConnections; ++i) {
      const int connection = open_readable();
      Node& node = attached(connection, kReads);
      EXPECT_EQ(loop.fired(), Nodes{&node});
      loop.release(node);
      backend.close(connection);
      EXPECT_EQ(loop.fired(), Nodes{});
    }
  });

  EXPECT_EQ(updates, std::size_t{kConnections});
  EXPECT_EQ(backend.registrations(), 0U);
}

TEST_F(KeepingFdTableTest, MakesOneCallForEachNextNodeOnTheSameFile) {
  constexpr int kRequests = 100;
  backend.set_ready(fd, Events::read | Events::write);
  Node& first = attached(fd, kReads);
  loop.release(first);
  loop.release(attached(fd, kReads));  // now it is known how fds are used here

  const std::size_t updates = loop.updates_of([&] {
    for (int i = 0; i < kRequests; ++i) {
      Node& node = attached(fd, i % 2 == 0 ? kReads : kWrites);
      EXPECT_EQ(loop.fired(), Nodes{&node});
      loop.release(node);
    }
  });

  EXPECT_EQ(updates, std::size_t{kRequests});
}

TEST_F(KeepingFdTableTest, RemovesARegistrationWithoutANodeThatIsReported) {
  loop.release(attached(fd, kReads));
  EXPECT_EQ(backend.registered(fd), Events::read);
  backend.set_ready(fd, Events::read);

  EXPECT_EQ(loop.fired(), Nodes{});

  EXPECT_TRUE(loop.iterate().empty());
  EXPECT_EQ(backend.registered(fd), std::nullopt);
  EXPECT_EQ(backend.rebuilds, 0U);
}

TEST_F(KeepingFdTableTest, KeepsNothingOfADescriptorThatTheLibraryClosesNext) {
  Node& node = attached(fd, kReads);
  Node& other = attached(fd, kReads);

  table.forget_before_close(node);
  table.flush();
  EXPECT_EQ(backend.registered(fd), Events::read);
  EXPECT_FALSE(node.linked);
  table.forget_before_close(other);

  EXPECT_EQ(backend.registered(fd), std::nullopt);
}

TEST_F(KeepingFdTableTest, LeavesBehindARegistrationThatADuplicateKeepsAlive) {
  loop.release(attached(fd, kReads));
  backend.duplicate(fd, 99);
  backend.close(fd);
  ASSERT_EQ(backend.open(), fd);
  Node& next = attached(fd, kReads);
  backend.set_ready(99, Events::read);

  for (int i = 0; i < 3; ++i) EXPECT_EQ(loop.fired(), Nodes{});
  EXPECT_TRUE(loop.iterate().empty());

  EXPECT_EQ(backend.registrations(), 1U);
  backend.set_ready(fd, Events::read);
  EXPECT_EQ(loop.fired(), Nodes{&next});
}

TEST_F(KeepingFdTableTest, DoesNotBringARegistrationWithoutANodeIntoAChild) {
  loop.release(attached(fd, kReads));
  backend.close(fd);
  ASSERT_EQ(open_readable(), fd);
  backend.start_anew();

  EXPECT_EQ(table.register_all(), 0);

  EXPECT_EQ(backend.registrations(), 0U);
}

// What a node is interested in changes while it is attached.
TEST_F(FdTableTest, ChangesAnInterestByOneCallBeforeTheNextWait) {
  Node& node = attached(fd, kReads);
  backend.set_ready(fd, Events::read | Events::write);

  const std::size_t updates = loop.updates_of([&] {
    for (const Events events : {kWrites, kReads, kReads | kWrites, kWrites}) {
      node.events = events;
      EXPECT_EQ(table.interest_changed(node), 0);
    }
    EXPECT_EQ(backend.registered(fd), Events::read) << "not before the next wait";
    table.flush();
  });

  EXPECT_EQ(updates, 1U);
  EXPECT_EQ(backend.registered(fd), Events::write);
  EXPECT_EQ(loop.fired(), Nodes{&node});
}

TEST_F(FdTableTest, MakesNoCallForAnInterestThatIsBackToWhatItWas) {
  constexpr int kMany = 300;
  for (int i = 0; i < kMany; ++i) attached(backend.open(), kReads);

  EXPECT_EQ(loop.updates_of([&] {
    for (Node& node : nodes) {
      node.events = kWrites;
      EXPECT_EQ(table.interest_changed(node), 0);
    }
    for (Node& node : nodes) {
      node.events = kReads;
      EXPECT_EQ(table.interest_changed(node), 0);
    }
    table.flush();
  }),
            0U);
}

TEST_F(FdTableTest, LosesNothingIfAnInterestCannotBeChanged) {
  Node& node = attached(fd, kReads);
  backend.set_ready(fd, Events::read | Events::write);
  node.events = kWrites;
  EXPECT_EQ(table.interest_changed(node), 0);

  backend.fail(ENOMEM);
  EXPECT_EQ(table.flush(), ENOMEM);

  EXPECT_EQ(table.flush(), 0) << "it tries again";
  EXPECT_EQ(loop.fired(), Nodes{&node});
}

TEST_F(FdTableTest, HearsOfAnInterestThatComesBackAfterAHangUp) {
  Node& node = attached(fd, kReads);
  node.events = Events::persist;
  EXPECT_EQ(table.interest_changed(node), 0);
  backend.hang_up(fd);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(loop.fired(), Nodes{});
  EXPECT_TRUE(loop.iterate().empty()) << "it does not spin";

  node.events = kReads;
  EXPECT_EQ(table.interest_changed(node), 0);

  EXPECT_EQ(loop.fired(), Nodes{&node});
}

TEST_F(FdTableTest, HearsNothingMoreOfAFileThatIsGoneWhenItsInterestChanges) {
  Node& node = attached(fd, kReads);
  backend.close(fd);
  node.events = kWrites;
  EXPECT_EQ(table.interest_changed(node), 0);
  EXPECT_EQ(table.flush(), 0);
  EXPECT_TRUE(node.stale);

  EXPECT_EQ(table.interest_changed(node), EBADF);
}

TEST_F(FdTableTest, TakesBackAtOnceWhatNobodyElseWatches) {
  Node& node = attached(fd, kReads);

  loop.release(node);

  EXPECT_EQ(backend.registered(fd), std::nullopt);
  EXPECT_FALSE(node.linked);
}

TEST_F(FdTableTest, KeepsWatchingForTheOthersWhenANodeGoesAway) {
  Node& reader = attached(fd, kReads);
  Node& writer = attached(fd, kWrites);
  backend.set_ready(fd, Events::read | Events::write);

  loop.release(reader);

  EXPECT_EQ(loop.fired(), Nodes{&writer});
  EXPECT_EQ(backend.registered(fd), Events::write);
}

TEST_F(FdTableTest, StopsWatchingForAOneShotThatFiredOnlyWhenThatIsReported) {
  attached(fd, Events::read);
  backend.set_ready(fd, Events::read);
  EXPECT_EQ(loop.iterate().size(), 1U);

  backend.set_ready(fd, Events::none);
  EXPECT_EQ(loop.updates_of([&] { loop.iterate(); }), 0U);
  backend.set_ready(fd, Events::read);
  EXPECT_EQ(loop.iterate().size(), 1U) << "one report that nobody wants";

  EXPECT_EQ(loop.updates_of([&] { EXPECT_TRUE(loop.iterate().empty()); }), 1U);
  EXPECT_EQ(backend.registered(fd), Events::none) << "kept for when it is attached again";
}

TEST_F(FdTableTest, EndsARegistrationThatReportsAHangUpNobodyWants) {
  Node& node = attached(fd, Events::read);
  backend.hang_up(fd);
  EXPECT_EQ(loop.fired(), Nodes{&node});

  loop.iterate();

  EXPECT_TRUE(loop.iterate().empty());
  EXPECT_EQ(backend.registered(fd), std::nullopt);
  EXPECT_EQ(loop.attach(node), 0);
  EXPECT_EQ(loop.fired(), Nodes{&node});
}

TEST_F(FdTableTest, DoesNotHearOfAHangUpAfterBothDirectionsWereDetached) {
  Node& reader = attached(fd, kReads);
  Node& writer = attached(fd, kWrites);
  backend.hang_up(fd);

  loop.detach(reader);
  EXPECT_EQ(loop.fired(), Nodes{&writer});
  loop.detach(writer);

  EXPECT_TRUE(loop.iterate().empty());
  EXPECT_EQ(backend.registrations(), 0U);
}

TEST_F(FdTableTest, AsksForEdgesIfAllNodesDo) {
  attached(fd, kReads | Events::edge);
  EXPECT_EQ(backend.registered(fd), Events::read | Events::edge);
  Node& level = attached(fd, kWrites);
  EXPECT_EQ(backend.registered(fd), Events::read | Events::write);

  loop.release(level);
  table.flush();

  EXPECT_EQ(backend.registered(fd), Events::read | Events::edge);
}

TEST_F(FdTableTest, ShowsAnEdgeThatCameBeforeAOneShotWasAttachedAgain) {
  Node& node = attached(fd, Events::read | Events::edge);
  backend.set_ready(fd, Events::read);
  EXPECT_EQ(loop.fired(), Nodes{&node});
  backend.set_ready(fd, Events::read);
  loop.iterate();

  EXPECT_EQ(loop.attach(node), 0);

  EXPECT_EQ(loop.fired(), Nodes{&node});
}

TEST_F(FdTableTest, RefusesANumberThatIsNotOpenAndChangesNothing) {
  for (const int closed : {7, 65'536, 1'000'000'000}) {
    Node& node = make(closed, kReads);

    EXPECT_EQ(loop.attach(node), EBADF);
    EXPECT_FALSE(node.linked);
  }
  EXPECT_EQ(backend.registrations(), 0U);
}

TEST_F(FdTableTest, MakesNoTableForAWildNumber) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  Node& node = make(2'000'000'000, kReads);

  const FailingNew now;

  EXPECT_EQ(loop.attach(node), EBADF);
}

TEST_F(FdTableTest, WatchesAFarNumber) {
  constexpr int kFar = 1'000'000;
  backend.open_at(kFar);
  backend.set_ready(kFar, Events::read);
  Node& node = attached(kFar, kReads);

  EXPECT_EQ(loop.fired(), Nodes{&node});
}

TEST_F(FdTableTest, LeavesTheOthersAsTheyWereWhenTheKernelRefusesOne) {
  Node& reader = attached(fd, kReads);
  Node& writer = make(fd, kWrites);
  Node& elsewhere = make(backend.open(), kReads);
  backend.set_ready(fd, Events::read | Events::write);

  backend.fail(ENOMEM);
  EXPECT_EQ(loop.attach(writer), ENOMEM);
  backend.fail(ENOSPC);
  EXPECT_EQ(loop.attach(elsewhere), ENOSPC);

  EXPECT_FALSE(writer.linked || elsewhere.linked);
  EXPECT_EQ(backend.registered(fd), Events::read);
  EXPECT_EQ(loop.fired(), Nodes{&reader});
  EXPECT_EQ(loop.attach(writer), 0);
  EXPECT_EQ(loop.fired(), (Nodes{&reader, &writer}));
}

TEST_F(FdTableTest, LeavesTheOthersAsTheyWereWithoutMemory) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  Node& reader = attached(fd, kReads);
  Node& writer = make(fd, kWrites);
  backend.set_ready(fd, Events::read | Events::write);
  int error = ENOMEM;
  for (std::size_t successes = 0; error != 0; ++successes) {
    {
      const FailingNew after(successes);
      error = table.add(writer);
    }
    if (error == 0) break;
    ASSERT_EQ(error, ENOMEM);
    ASSERT_FALSE(writer.linked);
    ASSERT_EQ(backend.registered(fd), Events::read);
  }
  writer.attached = true;

  EXPECT_EQ(loop.fired(), (Nodes{&reader, &writer}));
}

TEST_F(FdTableTest, TriesAgainToTakeBackWhatTheKernelCouldNot) {
  Node& reader = attached(fd, kReads);
  attached(fd, kWrites);
  backend.set_ready(fd, Events::read);
  loop.detach(reader);
  backend.fail(ENOMEM);

  EXPECT_EQ(loop.iterate().size(), 1U) << "still told, and not wanted";
  EXPECT_TRUE(loop.iterate().empty());
  EXPECT_EQ(backend.registered(fd), Events::write);
}

TEST_F(FdTableTest, GivesAReportAgainThatCouldNotBeTaken) {
  attached(fd, kReads);
  attached(fd, kReads);
  backend.set_ready(fd, Events::read);
  const ReadyEvent ready = backend.reports().at(0).ready;
  int calls = 0;

  EXPECT_THROW(table.report(ready, [](Node&, Events) { throw std::bad_alloc(); }), std::bad_alloc);
  table.report(ready, [&](Node&, Events) { ++calls; });

  EXPECT_EQ(calls, 2);
}

TEST_F(FdTableTest, UnlinksEveryNodeWhenItIsClearedAndTellsTheKernelNothing) {
  const int closed = backend.open();
  Node& lost = attached(closed, kReads);
  backend.open_at(closed);
  attached(closed, kReads);
  for (int i = 0; i < 3; ++i) attached(fd, kReads);
  Nodes cleared;

  const std::size_t updates =
      loop.updates_of([&] { table.clear([&](Node& node) { cleared.push_back(&node); }); });

  EXPECT_EQ(updates, 0U);
  EXPECT_EQ(cleared.size(), nodes.size());
  for (const Node& node : nodes) EXPECT_FALSE(node.linked || node.stale);
  EXPECT_TRUE(lost.attached) << "that is for its owner to say";
}

TEST_F(FdTableTest, LetsNodesGoInAnyOrder) {
  std::array<std::size_t, 4> order{0, 1, 2, 3};
  do {
    Nodes left;
    for (int i = 0; i < 4; ++i) left.push_back(&attached(fd, kReads));
    backend.set_ready(fd, Events::read);
    const Nodes all = left;
    for (const std::size_t i : order) {
      ASSERT_EQ(loop.fired(), left);
      loop.release(*all[i]);
      left.erase(std::find(left.begin(), left.end(), all[i]));
    }
    ASSERT_EQ(backend.registrations(), 0U);
  } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace
}  // namespace event_cpp::test
