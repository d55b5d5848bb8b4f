// Out-of-band data.
#include <sys/socket.h>

#include "support/every_backend.hpp"

namespace event::test {
namespace {

void send_urgent(const Fd& to) { ASSERT_EQ(::send(to.get(), "!", 1, MSG_OOB), 1); }

char receive_urgent(const Fd& from) {
  char byte = 0;
  EXPECT_EQ(::recv(from.get(), &byte, 1, MSG_OOB), 1);
  return byte;
}

TEST_P(EveryBackend, TellsOfUrgentDataAndOnlyThoseWhoAskForIt) {
  Base base(real_time());
  const Sockets tcp = tcp_pair();
  Event reader(base, tcp.ours.get(), Events::read | Events::persist, recorder.note_fired());
  Event urgent(base, tcp.ours.get(), Events::urgent | Events::persist, [&](Events fired) {
    EXPECT_EQ(fired, Events::urgent);
    EXPECT_EQ(receive_urgent(tcp.ours), '!');
    base.stop();
  });
  Event writer(base, tcp.theirs.get(), Events::urgent, Never());
  reader.attach();
  urgent.attach();
  writer.attach();

  send_urgent(tcp.theirs);
  run(base);
  recorder.fired.clear();
  write_bytes(tcp.theirs);
  base.loop(Loop::once);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

TEST_P(EveryBackend, TellsOfUrgentAndOrdinaryDataInOneCall) {
  Base base(real_time());
  const Sockets tcp = tcp_pair();
  Event both(base, tcp.ours.get(), Events::read | Events::urgent, recorder.note_fired());

  write_bytes(tcp.theirs);
  send_urgent(tcp.theirs);
  // Both have come when the later one has.
  Event last(base, tcp.ours.get(), Events::urgent, [] {});
  last.attach();
  base.loop(Loop::once);
  both.attach();
  base.loop(Loop::once);

  EXPECT_EQ(recorder.fired, Fired{Events::read | Events::urgent});
}

TEST_P(EveryBackend, SleepsWhenThePeerIsGoneAndOnlyUrgentDataIsWaitedFor) {
  Base base(watched());
  Sockets tcp = tcp_pair();
  Event urgent(base, tcp.ours.get(), Events::urgent | Events::persist, Never());
  urgent.attach();

  reset(std::move(tcp.theirs));

  EXPECT_TRUE(stays_asleep(base));
  EXPECT_TRUE(urgent.attached());
}

TEST_P(EveryBackend, TellsOthersOfAnEndThatWhoWaitsForUrgentDataDoesNotHear) {
  Base base(watched());
  Sockets tcp = tcp_pair();
  Event urgent(base, tcp.ours.get(), Events::urgent | Events::persist, Never());
  urgent.attach();
  reset(std::move(tcp.theirs));
  EXPECT_TRUE(stays_asleep(base));

  Event closed(base, tcp.ours.get(), Events::closed, recorder.note_fired());
  closed.attach();
  EXPECT_EQ(base.loop(Loop::once), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::closed});
  EXPECT_TRUE(stays_asleep(base));
  EXPECT_TRUE(urgent.detach());
}

TEST_P(EveryBackend, WatchesForUrgentDataBesideReadsThatComeAndGo) {
  Base base(real_time());
  const Sockets tcp = tcp_pair();
  Event urgent(base, tcp.ours.get(), Events::urgent, recorder.note(1));
  Event read(base, tcp.ours.get(), Events::read, Never());
  read.attach();
  urgent.attach();
  read.detach();
  base.loop(Loop::nonblock);

  send_urgent(tcp.theirs);
  EXPECT_EQ(base.loop(Loop::once), 1U);

  EXPECT_EQ(recorder.order, Order{1});
}

}  // namespace
}  // namespace event::test
