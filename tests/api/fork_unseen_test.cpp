// Bases in a child that was made by _Fork(3) or clone(2), which pthread_atfork(3) does not see.
#include <unistd.h>

#include <csignal>
#include <optional>

#include "support/every_backend.hpp"
#include "support/forked.hpp"
#include "support/raw_fork.hpp"
#include "support/sanitizers.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

class UnseenForkTest : public Signals {
 protected:
  void SetUp() override {
    if (!kForksUnseen) GTEST_SKIP() << "every fork is seen here";
    if (EVENT_HAS_TSAN) GTEST_SKIP() << "the thread sanitizer must see each fork";
  }

  template <class Part>
  static bool succeeds(Part&& part) {
    return succeeds_in_child_of(&raw_fork, std::forward<Part>(part));
  }
};

BACKEND_TEST(UnseenForkTest, LeavesTheParentsRegistrationsAlone) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));
  event.attach();
  base.loop(RunMode::nonblock);

  EXPECT_TRUE(succeeds([&] {
    base.after_fork();
    event.detach();
    base.loop(RunMode::nonblock | RunMode::keep_alive);
  }));
  EXPECT_TRUE(succeeds([&] { event.detach(); }));
  EXPECT_TRUE(succeeds([&] {
    event.detach();
    event.assign(pipe.writer.get(), Events::write);
  }));

  write_bytes(pipe.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(UnseenForkTest, WorksInTheChildAfterAfterFork) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));
  Signal signal(base, SIGUSR1, recorder.note(2));
  event.attach();
  signal.attach();
  ::raise(SIGUSR1);  // the parent's

  EXPECT_TRUE(succeeds([&] {
    base.after_fork();
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
    write_bytes(pipe.writer);
    ::raise(SIGUSR1);
    EXPECT_EQ(base.loop(RunMode::nonblock), 2U);
    signal.detach();
    EXPECT_TRUE(succeeds([&] {
      base.after_fork();
      EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
      event.detach();
    }));
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  }));

  EXPECT_EQ(base.loop(RunMode::nonblock), 2U) << "the child has read nothing";
}

BACKEND_TEST(UnseenForkTest, LeavesTheParentsBlockedSignalsAlone) {
  if (!sees_blocked(GetParam())) GTEST_SKIP() << "this system cannot tell of blocked signals";
  const Blocked blocked(SIGUSR1);
  std::optional<Base> base(options());
  std::optional<Signal> signal(std::in_place, *base, SIGUSR1, recorder.note(1));
  signal->attach();

  EXPECT_TRUE(succeeds([&] {
    base->after_fork();
    signal->detach();
  }));
  EXPECT_TRUE(succeeds([&] { signal->detach(); }));
  EXPECT_TRUE(succeeds([&] { base.reset(); }));

  raise_for_process(SIGUSR1);
  EXPECT_EQ(base->loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(UnseenForkTest, LeavesTheParentsWakeUpAlone) {
  Base base(options());
  EXPECT_TRUE(succeeds([&] {
    base.post([] {});
    base.stop();
  }));
  base.loop(RunMode::nonblock | RunMode::keep_alive);
  EXPECT_EQ(base.stats().wakeups, 0U);
}

}  // namespace
}  // namespace event_cpp::test
