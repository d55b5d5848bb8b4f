// Out-of-band data.
#include <netinet/in.h>
#include <sys/socket.h>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class UrgentTest : public EveryBackend {};

void send_urgent(const Fd& to) { ASSERT_EQ(::send(to.get(), "!", 1, MSG_OOB), 1); }

char receive_urgent(const Fd& from) {
  char byte = 0;
  EXPECT_EQ(::recv(from.get(), &byte, 1, MSG_OOB), 1);
  return byte;
}

BACKEND_TEST(UrgentTest, TellsOfUrgentDataAndOnlyThoseWhoAskForIt) {
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
  base.loop(RunMode::once);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(UrgentTest, TellsOfUrgentAndOrdinaryDataInOneCall) {
  Base base(real_time());
  const Sockets tcp = tcp_pair();
  Event both(base, tcp.ours.get(), Events::read | Events::urgent, recorder.note_fired());

  write_bytes(tcp.theirs);
  send_urgent(tcp.theirs);
  // Both have come when the later one has.
  Event last(base, tcp.ours.get(), Events::urgent, [] {});
  last.attach();
  base.loop(RunMode::once);
  both.attach();
  base.loop(RunMode::once);

  EXPECT_EQ(recorder.fired, Fired{Events::read | Events::urgent});
}

BACKEND_TEST(UrgentTest, SleepsWhenThePeerIsGoneAndOnlyUrgentDataIsWaitedFor) {
  Base base(watched());
  Sockets tcp = tcp_pair();
  Event urgent(base, tcp.ours.get(), Events::urgent | Events::persist, Never());
  urgent.attach();

  reset(std::move(tcp.theirs));

  EXPECT_TRUE(stays_asleep(base));
  EXPECT_TRUE(urgent.attached());
}

BACKEND_TEST(UrgentTest, TellsOthersOfAnEndThatWhoWaitsForUrgentDataDoesNotHear) {
  Base base(watched());
  Sockets tcp = tcp_pair();
  Event urgent(base, tcp.ours.get(), Events::urgent | Events::persist, Never());
  urgent.attach();
  reset(std::move(tcp.theirs));
  EXPECT_TRUE(stays_asleep(base));

  Event closed(base, tcp.ours.get(), Events::closed, recorder.note_fired());
  closed.attach();
  EXPECT_EQ(base.loop(RunMode::once), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::closed});
  EXPECT_TRUE(stays_asleep(base));
  EXPECT_TRUE(urgent.detach());
}

BACKEND_TEST(UrgentTest, DoesNotTakeAnotherFilesUrgentDataAfterTheEndOfItsOwn) {
  Base base(watched());
  Sockets tcp = tcp_pair();
  Event urgent(base, tcp.ours.get(), Events::urgent | Events::persist, Never());
  urgent.attach();
  reset(std::move(tcp.theirs));
  EXPECT_TRUE(stays_asleep(base));

  const int number = tcp.ours.get();
  tcp.ours.close();
  Sockets other = tcp_pair();
  const Fd reused = move_to(number, std::move(other.ours));
  Event newer(base, number, Events::read | Events::urgent, recorder.note_fired());
  newer.attach();
  send_urgent(other.theirs);

  EXPECT_EQ(base.loop(RunMode::once), 1U);
  EXPECT_EQ(recorder.fired, Fired{Events::urgent});
}

BACKEND_TEST(UrgentTest, HearsOfUrgentDataAfterAnEndThatPassed) {
  Base base(real_time());
  if (base.backend() == Backend::poll) GTEST_SKIP() << "poll has no way to be told of changes only";
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), name, sizeof address), 0);
  ASSERT_EQ(::getsockname(listener.get(), name, &size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);

  // A socket that is not connected yet looks like one that has been hung up.
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Event urgent(base, socket.get(), Events::urgent, recorder.note(1));
  urgent.attach();
  for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);
  ASSERT_EQ(::connect(socket.get(), name, sizeof address), 0);
  const Fd peer(::accept(listener.get(), nullptr, nullptr));
  send_urgent(peer);

  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(UrgentTest, WatchesForUrgentDataBesideReadsThatComeAndGo) {
  Base base(real_time());
  const Sockets tcp = tcp_pair();
  Event urgent(base, tcp.ours.get(), Events::urgent, recorder.note(1));
  Event read(base, tcp.ours.get(), Events::read, Never());
  read.attach();
  urgent.attach();
  read.detach();
  base.loop(RunMode::nonblock);

  send_urgent(tcp.theirs);
  EXPECT_EQ(base.loop(RunMode::once), 1U);

  EXPECT_EQ(recorder.order, Order{1});
}

}  // namespace
}  // namespace event_cpp::test
