// What the process did on a signal before, and does again.
#include <signal.h>
#include <unistd.h>

#include <optional>
#include <vector>

#include "support/every_backend.hpp"
#include "support/forked.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

class SignalDispositionTest : public Signals {};

struct sigaction handler_with_everything() {
  struct sigaction action {};
  action.sa_sigaction = &count_stray_with_info;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGHUP);
  sigaddset(&action.sa_mask, highest_own_signal());
  return action;
}

std::vector<struct sigaction> former_actions() {
  std::vector<struct sigaction> actions(3);
  actions[0].sa_handler = SIG_DFL;
  actions[1].sa_handler = SIG_IGN;
  actions[2].sa_handler = &count_stray;
  actions.push_back(handler_with_everything());
  return actions;
}

BACKEND_TEST(SignalDispositionTest, IsTheFormerOneAfterTheLastEvent) {
  for (const struct sigaction& former : former_actions()) {
    const Disposition disposition(SIGUSR1, former);
    const Action before = action_of(SIGUSR1);
    Base base(options());
    Base other_base(options());
    std::optional<Signal> detached, destroyed, elsewhere;
    std::optional<Event> fired;
    detached.emplace(base, SIGUSR1, recorder.note(1));
    destroyed.emplace(base, SIGUSR1, recorder.note(1));
    elsewhere.emplace(other_base, SIGUSR1, recorder.note(1));
    fired.emplace(base, SIGUSR1, Events::signal, recorder.note(1));
    EXPECT_EQ(action_of(SIGUSR1), before) << "nothing is done before attach()";

    detached->attach();
    const Action ours = action_of(SIGUSR1);
    EXPECT_NE(ours, before);
    EXPECT_NE(ours.flags & SA_RESTART, 0);
    destroyed->attach();
    elsewhere->attach();
    fired->attach();
    EXPECT_EQ(action_of(SIGUSR1), ours);

    ::raise(SIGUSR1);
    base.loop(RunMode::nonblock);
    EXPECT_FALSE(fired->attached());
    EXPECT_EQ(action_of(SIGUSR1), ours);
    detached->detach();
    EXPECT_EQ(action_of(SIGUSR1), ours);
    destroyed.reset();
    EXPECT_EQ(action_of(SIGUSR1), ours) << "the other base still has one";
    elsewhere->detach();
    EXPECT_EQ(action_of(SIGUSR1), before);
  }
}

BACKEND_TEST(SignalDispositionTest, IsTheFormerOneHoweverTheLastEventGoes) {
  for (const struct sigaction& former : former_actions()) {
    const Disposition disposition(SIGUSR1, former);
    const Action before = action_of(SIGUSR1);
    std::optional<Base> base(options());
    {
      Signal signal(*base, SIGUSR1, Never());
      signal.attach();
      EXPECT_NE(action_of(SIGUSR1), before);
    }
    EXPECT_EQ(action_of(SIGUSR1), before) << "destroyed";

    std::optional<Action> in_callback;
    Event event(*base, SIGUSR1, Events::signal, [&] { in_callback = action_of(SIGUSR1); });
    event.attach();
    ::raise(SIGUSR1);
    run(*base);
    EXPECT_EQ(in_callback, before) << "a one-shot is detached before its callback";

    Signal survivor(*base, SIGUSR1, Never());
    survivor.attach();
    base.reset();
    EXPECT_EQ(action_of(SIGUSR1), before) << "the base was destroyed";
    EXPECT_FALSE(survivor.attached());
    EXPECT_FALSE(survivor.detach());
  }
}

BACKEND_TEST(SignalDispositionTest, IsTheFormerOneBeforeAndAfterAndNotMeanwhile) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));

  ::raise(SIGUSR1);
  EXPECT_EQ(strays, 1);
  signal.attach();
  ::raise(SIGUSR1);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(strays, 1);
  signal.detach();
  ::raise(SIGUSR1);
  EXPECT_EQ(strays, 2);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(SignalDispositionTest, IsLeftToWhoeverHasTakenItMeanwhile) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  for (const struct sigaction& theirs : former_actions()) {
    const Disposition before(SIGUSR1, SIG_IGN);
    signal.attach();
    ::sigaction(SIGUSR1, &theirs, nullptr);
    const Action taken = action_of(SIGUSR1);

    signal.detach();
    EXPECT_EQ(action_of(SIGUSR1), taken);

    signal.attach();
    EXPECT_NE(action_of(SIGUSR1), taken) << "attaching anew takes them back";
    ::raise(SIGUSR1);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    signal.detach();
    EXPECT_EQ(action_of(SIGUSR1), taken) << "this is what was there before now";
  }
}

// Other code takes the signal, and puts the handler of this library back when no event is there.
void put_back_by_other_code(Signal& signal, void (*theirs)(int)) {
  struct sigaction saved {};
  signal.attach();
  struct sigaction other {};
  other.sa_handler = theirs;
  ::sigaction(signal.signo(), &other, &saved);
  signal.detach();
  ::sigaction(signal.signo(), &saved, nullptr);
}

BACKEND_TEST(SignalDispositionTest, CallsTheFormerHandlerIfOtherCodePutsBackOurs) {
  std::vector<struct sigaction> handlers(2);
  handlers[0].sa_handler = &count_stray;
  handlers[1] = handler_with_everything();
  for (const struct sigaction& former : handlers) {
    const Disposition disposition(SIGUSR1, former);
    const Action before = action_of(SIGUSR1);
    Base base(options());
    Signal signal(base, SIGUSR1, recorder.note(1));
    put_back_by_other_code(signal, SIG_IGN);

    strays = 0;
    ::raise(SIGUSR1);
    ::raise(SIGUSR1);
    EXPECT_EQ(strays, 2);

    signal.attach();
    ::raise(SIGUSR1);
    EXPECT_EQ(strays, 2);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    signal.detach();
    EXPECT_EQ(action_of(SIGUSR1), before) << "its own handler is not taken for the former one";
  }
}

BACKEND_TEST(SignalDispositionTest, IsToIgnoreAgainIfOtherCodePutsBackOurs) {
  const Disposition disposition(SIGUSR1, SIG_IGN);
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  put_back_by_other_code(signal, &count_stray);

  ::raise(SIGUSR1);

  EXPECT_EQ(strays, 0);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(SignalDispositionTest, EndsTheProcessAgainIfOtherCodePutsBackOurs) {
  const int status = status_of_child([&] {
    const Disposition disposition(SIGTERM, SIG_DFL);
    Base base(options());
    Signal signal(base, SIGTERM, recorder.note(1));
    put_back_by_other_code(signal, SIG_IGN);
    ::raise(SIGTERM);
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

BACKEND_TEST(SignalDispositionTest, OfASignalWithoutAnEventIsLeftAlone) {
  std::vector<Action> before;
  for (int signo = 1; signo < 65; ++signo) before.push_back(action_of(signo));
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(2));
  event.attach();
  ::raise(SIGUSR1);
  run(base, RunMode::once);

  for (int signo = 1; signo < 65; ++signo) {
    if (signo == SIGUSR1) continue;
    EXPECT_EQ(action_of(signo), before[static_cast<std::size_t>(signo) - 1])
        << signo << (signo == SIGPIPE ? ", which is SIGPIPE" : "");
  }
}

}  // namespace
}  // namespace event_cpp::test
