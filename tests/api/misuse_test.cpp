// What SECURITY.md says of other processes and of careless callers, where no other test does.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class MisuseTest : public EveryBackend {};

// A process that passes the reading end of a pipe of its own, and keeps both ends.
class OtherProcess {
 public:
  OtherProcess() : sockets_(socket_pair()), pid_(::fork()) {
    if (pid_ == 0) live();
    sockets_.theirs.close();
  }
  ~OtherProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;

  Fd receive_descriptor() const {
    Message message;
    wait_for_it();
    if (::recvmsg(sockets_.ours.get(), &message.header, 0) != 1) return {};
    int number = -1;
    const cmsghdr* const control = CMSG_FIRSTHDR(&message.header);
    if (control != nullptr) std::memcpy(&number, CMSG_DATA(control), sizeof number);
    return Fd(number);
  }

  // Has it write a byte to its pipe.
  void have_it_write() const {
    write_bytes(sockets_.ours);
    wait_for_it();
    read_bytes(sockets_.ours);
  }

 private:
  // A byte, and room for one descriptor.
  struct Message {
    Message() {
      header.msg_iov = &data;
      header.msg_iovlen = 1;
      header.msg_control = control.data();
      header.msg_controllen = control.size();
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr header{};
  };

  void wait_for_it() const {
    Base base;
    base.once(sockets_.ours.get(), Events::read, 30s, [] {});
    base.dispatch();
  }

  [[noreturn]] void live() const {
    ::alarm(60);
    std::array<int, 2> ends{};
    char byte = 0;
    bool good = ::pipe(ends.data()) == 0 && send_descriptor(ends[0]);
    while (good) {
      const ssize_t n = ::recv(sockets_.theirs.get(), &byte, 1, 0);
      if (n < 0 && errno == EAGAIN) {
        ::usleep(1000);
      } else {
        good = n == 1 && ::write(ends[1], "x", 1) == 1 &&
               ::send(sockets_.theirs.get(), "x", 1, 0) == 1;
      }
    }
    ::_exit(0);
  }

  bool send_descriptor(int number) const {
    Message message;
    cmsghdr* const control = CMSG_FIRSTHDR(&message.header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof number);
    std::memcpy(CMSG_DATA(control), &number, sizeof number);
    return ::sendmsg(sockets_.theirs.get(), &message.header, 0) == 1;
  }

  Sockets sockets_;
  pid_t pid_;
};

BACKEND_TEST(MisuseTest, FiresForADescriptorThatAnotherProcessHasPassed) {
  const OtherProcess other;
  const Fd passed = other.receive_descriptor();
  ASSERT_TRUE(passed.open());
  Base base(options());
  Event event(base, passed.get(), Events::read, recorder.note_fired());
  event.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);

  other.have_it_write();
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(MisuseTest, SleepsWhenAnotherProcessKeepsWhatWasClosedWhileWatched) {
  for (const bool detached : {false, true}) {
    const OtherProcess other;
    Fd passed = other.receive_descriptor();
    ASSERT_TRUE(passed.open());
    Base base(watched());
    Event event(base, passed.get(), Events::read | Events::persist, [] {});
    event.attach();
    base.loop(RunMode::nonblock);

    if (detached) event.detach();
    const int number = passed.get();
    passed.close();
    const Pipe next = make_pipe();
    const Fd fresh = move_to(number, duplicate(next.reader));
    Event of_fresh(base, number, Events::read | Events::persist, recorder.note(1));
    of_fresh.attach();
    other.have_it_write();

    EXPECT_TRUE(stays_asleep(base));
    EXPECT_EQ(recorder.order, Order{}) << "that was the other process's file";
    write_bytes(next.writer);
    base.loop(RunMode::nonblock);
    EXPECT_EQ(std::exchange(recorder.order, {}), Order{1});
  }
}

BACKEND_TEST(MisuseTest, SleepsWhileADescriptorOfItsOwnIsWatchedByItself) {
  Base base(watched());
  const int own = base.fd();
  if (own < 0) GTEST_SKIP() << "it has none to show";
  Event event(base, own, Events::read | Events::persist, recorder.note(1));

  // The kernel may refuse the circle; if not, there is nothing in it that could be ready.
  if (event.try_attach()) {
    EXPECT_FALSE(event.attached());
    EXPECT_EQ(base.size(), 0U);
  }

  EXPECT_TRUE(stays_asleep(base));
  EXPECT_EQ(recorder.order, Order{});
}

BACKEND_TEST(MisuseTest, RunsWhatIsLeftThoughACallbackClosesEveryDescriptor) {
  Base base(options());
  std::array<Pipe, 3> pipes{readable_pipe(), readable_pipe(), readable_pipe()};
  Event closes(base, pipes[0].reader.get(), Events::read, [&] {
    for (Pipe& pipe : pipes) pipe = {};
  });
  Event second(base, pipes[1].reader.get(), Events::read, [] {});
  Event third(base, pipes[2].reader.get(), Events::read | Events::persist, [] {});
  Timer timer(base, recorder.note(1));
  for (Event* event : {&closes, &second, &third}) event->attach();
  timer.attach(1s);

  while (timer.attached()) base.loop(RunMode::once);

  EXPECT_EQ(recorder.order, Order{1});
}

#ifndef NDEBUG

BACKEND_TEST(MisuseTest, SaysInADebugBuildThatItIsDestroyedInACallback) {
  EXPECT_DEATH(
      {
        auto base = std::make_unique<Base>(options());
        base->post([&] { base.reset(); });
        base->dispatch();
      },
      "destroyed in a callback");
}

BACKEND_TEST(MisuseTest, SaysInADebugBuildThatAnotherThreadUsesAnEvent) {
  EXPECT_DEATH(
      {
        Base base(options());
        Timer timer(base, [] {});
        base.post([&] { std::thread([&] { timer.attach(1s); }).join(); });
        base.dispatch();
      },
      "belong to the thread");
}

#endif

}  // namespace
}  // namespace event_cpp::test
