// The descriptor table when numbers are closed and given away: whose file it is that is ready.
#include <gtest/gtest.h>

#include <cerrno>

#include "support/fd_script.hpp"
#include "support/seeded_random.hpp"
#include "support/table_test.hpp"

namespace event_cpp::test {
namespace {

using detail::Node;
using detail::ReadyEvent;

using FdTableReuseTest = TableTest;

TEST_F(FdTableReuseTest, WatchesANewFileOnANumberThatWasClosedWhileWatched) {
  Node& old = attached(fd, kReads);
  backend.open_at(fd);
  Node& fresh = attached(fd, kReads);
  EXPECT_TRUE(loop.iterate().empty());

  backend.set_ready(fd, Events::read);

  EXPECT_EQ(loop.fired(), Nodes{&fresh});
  EXPECT_TRUE(old.attached && old.stale) << "its timeout may still fire it";
  loop.detach(old);
  EXPECT_FALSE(old.linked || old.stale);
  EXPECT_EQ(loop.fired(), Nodes{&fresh});
}

TEST_F(FdTableReuseTest, FiresALostNodeOnceItIsAttachedAgain) {
  Node& old = attached(fd, kReads);
  backend.open_at(fd);
  attached(fd, kWrites);
  backend.set_ready(fd, Events::read);
  EXPECT_EQ(loop.fired(), Nodes{});

  loop.detach(old);
  EXPECT_EQ(loop.attach(old), 0);

  EXPECT_EQ(loop.fired(), Nodes{&old});
}

TEST_F(FdTableReuseTest, TakesBackTheNewFileWhenOnlyLostNodesAreLeft) {
  Node& old = attached(fd, kReads);
  backend.open_at(fd);
  Node& fresh = attached(fd, kReads);

  loop.release(fresh);

  EXPECT_EQ(backend.registered(fd), std::nullopt);
  EXPECT_TRUE(old.stale);
  loop.release(old);
  EXPECT_FALSE(old.linked);
}

TEST_F(FdTableReuseTest, TellsALostNodeNothingOfARegistrationThatIsKept) {
  backend.prefer_lazy_removal(true);
  Node& old = attached(fd, kReads);
  backend.open_at(fd);
  loop.release(attached(fd, kReads));
  EXPECT_TRUE(old.stale);
  backend.set_ready(fd, Events::read);

  EXPECT_EQ(loop.fired(), Nodes{});

  EXPECT_TRUE(loop.iterate().empty());
}

TEST_F(FdTableReuseTest, LosesTheNodesOfADescriptorThatIsReportedAsGone) {
  Node& first = attached(fd, kReads);
  Node& second = attached(fd, kReads);
  backend.set_ready(fd, Events::read);
  ReadyEvent ready = backend.reports().at(0).ready;
  ready = {ReadyEvent::kGone, ready.fd, ready.generation};

  table.report(ready, [](Node&, Events) { FAIL(); });

  EXPECT_TRUE(first.stale && second.stale);
  EXPECT_TRUE(first.attached && second.attached);
  EXPECT_EQ(loop.fired(), Nodes{});
}

TEST_F(FdTableReuseTest, LeavesBehindARegistrationThatCannotBeNamed) {
  Node& other = attached(fd, kReads);
  backend.set_ready(fd, Events::read);
  const int number = leave_behind(Events::read);
  backend.open_at(number);
  Node& fresh = attached(number, kReads);
  EXPECT_EQ(backend.registrations(), 3U);

  EXPECT_EQ(loop.fired(), Nodes{&other});
  EXPECT_EQ(loop.iterate().size(), 1U) << "nothing stale any more";

  EXPECT_EQ(backend.rebuilds, 1U);
  EXPECT_EQ(backend.registrations(), 2U);
  backend.set_ready(number, Events::read);
  EXPECT_EQ(loop.fired(), (Nodes{&other, &fresh}));
}

TEST_F(FdTableReuseTest, LosesInARepairWhatWasClosedWithoutBeingNoticed) {
  attached(fd, kReads);
  Node& closed = attached(backend.open(), kReads);
  backend.close(closed.descriptor);
  leave_behind(Events::read);

  loop.iterate();
  loop.iterate();

  EXPECT_TRUE(closed.stale);
  EXPECT_EQ(backend.registrations(), 1U);
  EXPECT_EQ(loop.flush_error, 0);
}

TEST_F(FdTableReuseTest, DetachesAtOnceAfterARepair) {
  leave_behind(Events::read);
  for (int i = 0; i < 2; ++i) loop.iterate();
  Node& node = attached(fd, kReads);

  loop.detach(node);

  EXPECT_EQ(backend.registered(fd), std::nullopt);
}

TEST_F(FdTableReuseTest, RepairsWhatIsStillReportedAfterARepairCouldNotBegin) {
  leave_behind(Events::read);
  loop.iterate();
  backend.fail_rebuild(EMFILE);

  loop.iterate();
  EXPECT_EQ(loop.flush_error, EMFILE);

  for (int i = 0; i < 2; ++i) loop.iterate();
  EXPECT_EQ(backend.rebuilds, 1U);
  EXPECT_TRUE(loop.iterate().empty());
}

TEST_F(FdTableReuseTest, KeepsTheOldSetAndTriesAgainIfARepairFailsOnTheWay) {
  Node& first = attached(fd, kReads);
  const int number = open_readable();
  Node& second = attached(number, kReads);
  leave_behind(Events::read);
  loop.iterate();

  backend.fail(ENOSPC, 4);  // each is asked for, and then added
  EXPECT_EQ(table.flush(), ENOSPC);
  EXPECT_EQ(backend.registrations(), 3U);

  EXPECT_EQ(table.flush(), 0);
  EXPECT_EQ(backend.registrations(), 2U);
  EXPECT_FALSE(first.stale || second.stale);
  EXPECT_EQ(loop.fired(), Nodes{&second});
}

TEST_F(FdTableReuseTest, TakesOverARegistrationThatCameBackWithItsNumber) {
  const int number = leave_behind(Events::none);
  backend.duplicate(99, number);

  Node& node = attached(number, kWrites);
  backend.set_ready(number, Events::read | Events::write);

  EXPECT_EQ(loop.fired(), Nodes{&node});
  EXPECT_EQ(backend.registered(number), Events::write);
  EXPECT_EQ(backend.rebuilds, 0U);
}

TEST_F(FdTableReuseTest, NeverMixesUpFilesWhateverHappensToTheirNumbers) {
  for (const unsigned seed : kSeeds) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    FdScript script(random, seed % 2 != 0);
    for (int step = 0; step < 5'000; ++step) {
      script.step();
      if (step % 50 == 0) script.expect_calm();
      if (HasFatalFailure()) return;
    }
    EXPECT_GT(script.rebuilds(), 0U) << "it left registrations behind";
  }
}

}  // namespace
}  // namespace event_cpp::test
