// Errors that are pending on a descriptor: told to those who ask for them, and never taken for the
// end of a connection.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "support/every_backend.hpp"

#if EVENT_HAVE_EPOLL
#include <linux/errqueue.h>
#endif

namespace event_cpp::test {
namespace {

class ErrorConditionTest : public EveryBackend {};

BACKEND_TEST(ErrorConditionTest, FiresForARefusedConnectionAlone) {
  Base base(options());
  const Fd refused = refused_connection();
  Event event(base, refused.get(), Events::error, recorder.note_fired());
  event.attach();

  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, Fired{Events::error});
}

BACKEND_TEST(ErrorConditionTest, FiresAgainWhileTheErrorLasts) {
  Base base(options());
  const Fd refused = refused_connection();
  Event event(base, refused.get(), Events::error | Events::persist, recorder.note_fired());
  event.attach();

  for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, (Fired{Events::error, Events::error, Events::error}));
}

BACKEND_TEST(ErrorConditionTest, FiresForAnErrorThatComesAfterAnEndThatIsNone) {
  Base base(options());
  Sockets pair = tcp_pair();
  Event event(base, pair.ours.get(), Events::error, recorder.note_fired());
  event.attach();
  end_writing(pair.theirs);
  base.loop(RunMode::nonblock);

  reset(std::move(pair.theirs));
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::error});
}

BACKEND_TEST(ErrorConditionTest, DoesNotFireForAnEndThatIsNoError) {
  Base base(watched());
  Sockets pair = socket_pair();
  Event event(base, pair.ours.get(), Events::error | Events::persist, recorder.note_fired());
  event.attach();

  pair.theirs.close();

  EXPECT_TRUE(stays_asleep(base)) << "the hang-up lasts";
  EXPECT_EQ(recorder.fired, Fired{});
}

#if EVENT_HAVE_EPOLL

// A socket that is healthy, with a message in its error queue and no pending error: what time
// stamps and notices of MSG_ZEROCOPY look like as well.
class ErrorQueueTest : public EveryBackend {
 protected:
  ErrorQueueTest() {
    const sockaddr_in nobody = address_of_nobody();
    const int on = 1;
    EXPECT_EQ(::setsockopt(socket_.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&nobody), sizeof nobody),
              0);
    write_bytes(socket_);
    int error = 0;
    socklen_t size = sizeof error;
    EXPECT_EQ(::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size), 0);
    EXPECT_EQ(error, ECONNREFUSED);
  }

  void take_message() {
    char data[64];
    char control[256];
    iovec buffer{data, sizeof data};
    msghdr message{};
    message.msg_iov = &buffer;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    EXPECT_EQ(::recvmsg(socket_.get(), &message, MSG_ERRQUEUE), 1);
  }

  const Fd socket_{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};

 private:
  // Of a socket that was closed.
  static sockaddr_in address_of_nobody() {
    const Fd bound(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const as_any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(bound.get(), as_any, size), 0);
    EXPECT_EQ(::getsockname(bound.get(), as_any, &size), 0);
    return address;
  }
};

BACKEND_TEST(ErrorQueueTest, IsNeverTheEndOfTheConnectionAndDoesNotSpin) {
  Base base(watched());
  Event event(base, socket_.get(), Events::closed | Events::persist, recorder.note_fired());
  event.attach();

  EXPECT_TRUE(stays_asleep(base));
  EXPECT_EQ(recorder.fired, Fired{});
}

BACKEND_TEST(ErrorQueueTest, IsAnErrorAndNothingElseToWhoAsksForErrors) {
  Base base(options());
  Event event(base, socket_.get(), Events::read | Events::closed | Events::error | Events::persist,
              recorder.note_fired());
  event.attach();

  for (int i = 0; i < 2; ++i) base.loop(RunMode::nonblock);
  take_message();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, (Fired{Events::error, Events::error})) << "as long as it is there";
}

BACKEND_TEST(ErrorQueueTest, IsReadableAndWritableToWhoDoesNotAskForErrors) {
  Base base(options());
  Event event(base, socket_.get(), Events::read | Events::write | Events::closed,
              recorder.note_fired());
  event.attach();

  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, Fired{Events::read | Events::write});
}

BACKEND_TEST(ErrorQueueTest, IsToldToEachEventOnTheSocketInItsOwnWords) {
  Base base(options());
  Event error(base, socket_.get(), Events::error, recorder.note_fired());
  Event read(base, socket_.get(), Events::read, recorder.note_fired());
  Event closed(base, socket_.get(), Events::closed, recorder.note_fired());
  for (Event* const event : {&error, &read, &closed}) event->attach();

  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, (Fired{Events::error, Events::read}));
}

BACKEND_TEST(ErrorQueueTest, IsTakenByAnEventThatModifiesItselfToAskForErrors) {
  Base base(options());
  Event event(base, socket_.get(), Events::read | Events::persist, recorder.note_fired());
  event.attach();
  base.loop(RunMode::nonblock);

  event.modify(Events::read | Events::error | Events::persist);
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::error}));
}

#endif

}  // namespace
}  // namespace event_cpp::test
