// Which callbacks each class takes, and which of its ways a callback is called in.
#include <signal.h>
#include <sys/wait.h>

#include <string>
#include <type_traits>
#include <utility>

#include "support/every_backend.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

template <class Self, class... Between>
struct Takes {
  template <class F>
  static constexpr bool value = std::is_constructible_v<Self, Base&, Between..., F>;
};

template <class Self, class... Between>
constexpr bool takes_the_common_shapes() {
  using T = Takes<Self, Between...>;
  return T::template value<void (*)()> && T::template value<void (*)(Self&)> &&
         T::template value<void (*)(Events)> && T::template value<void (*)(Self&, Events)> &&
         T::template value<void(Self&)> && T::template value<int (&)(Events)> &&
         !T::template value<int> && !T::template value<void (*)(Self*)> &&
         !T::template value<void (*)(Events, Self&)> && !T::template value<void (*)(Base&)>;
}
static_assert(takes_the_common_shapes<Event, int, Events>());
static_assert(takes_the_common_shapes<Timer>());
static_assert(takes_the_common_shapes<Ticker>());
static_assert(takes_the_common_shapes<Signal, int>());
static_assert(takes_the_common_shapes<Child, pid_t>());
static_assert(takes_the_common_shapes<Alarm>());
static_assert(takes_the_common_shapes<Hook, Hook::When>());

static_assert(Takes<Signal, int>::value<void (*)(int)>);
static_assert(Takes<Child, pid_t>::value<void (*)(int)>);
static_assert(Takes<Child, pid_t>::value<void (*)(Child&, int)>);
static_assert(!Takes<Timer>::value<void (*)(int)> && !Takes<Timer>::value<void (*)(Timer&, int)>);
static_assert(!Takes<Event, int, Events>::value<void (*)(int)>);

// An event of a public base class is one as well.
static_assert(Takes<Timer>::value<void (*)(Event&)> && Takes<Signal, int>::value<void (*)(Event&)>);
static_assert(!Takes<Alarm>::value<void (*)(Event&)> &&
              !Takes<Child, pid_t>::value<void (*)(Event&)>);

template <class F>
concept GoesToAfter = requires(Base& base, F f) {
  base.after(1s, f);
  base.once(0, Events::read, 1s, f);
};
static_assert(GoesToAfter<void (*)()> && GoesToAfter<void (*)(Event&)>);
static_assert(GoesToAfter<void (*)(Events)> && GoesToAfter<void (*)(Event&, Events)>);
static_assert(!GoesToAfter<void (*)(Timer&)> && !GoesToAfter<void (*)(int)>);

// What is attached must have a name that outlives the statement.
template <class T>
concept Attachable = requires(T&& event) { std::forward<T>(event).attach(); };
template <class T>
concept AttachableWithTime = requires(T&& event) { std::forward<T>(event).attach(1s); };
template <class T>
concept AttachableToFile =
    requires(T&& event) { std::forward<T>(event).attach(0, Events::read, 1s); };
template <class T>
concept Rearmable = requires(T&& event) { std::forward<T>(event).rearm(1s); };
template <class T>
concept AttachableAt = requires(T&& event, TimePoint at) { std::forward<T>(event).attach_at(at); };
template <class T>
concept TryAttachable =
    requires(T&& event) { static_cast<void>(std::forward<T>(event).try_attach(1s)); };
template <class T>
concept Activatable = requires(T&& event) { std::forward<T>(event).activate(Events::read); };
static_assert(Attachable<Event&> && !Attachable<Event>);
static_assert(Attachable<Child&> && !Attachable<Child> && Attachable<Signal&> &&
              !Attachable<Signal>);
static_assert(AttachableWithTime<Timer&> && !AttachableWithTime<Timer>);
static_assert(AttachableWithTime<Ticker&> && !AttachableWithTime<Ticker>);
static_assert(AttachableToFile<Event&> && !AttachableToFile<Event>);
static_assert(Rearmable<Timer&> && !Rearmable<Timer> && AttachableAt<Timer&> &&
              !AttachableAt<Timer>);
static_assert(TryAttachable<Timer&> && !TryAttachable<Timer>);
static_assert(Activatable<Event&> && !Activatable<Event>);
template <class T>
concept AttachableToWall =
    requires(T&& alarm, WallTime when) { std::forward<T>(alarm).attach(when); };
template <class T>
concept Modifiable = requires(T&& event) { std::forward<T>(event).modify(Events::read); };
static_assert(AttachableToWall<Alarm&> && !AttachableToWall<Alarm>);
static_assert(Modifiable<Event&> && !Modifiable<Event>);

class CallbackTest : public EveryBackend {};

// Which way a callable that takes anything was called in.
template <class Self>
struct Anything {
  void operator()(auto&&... arguments) const { *way = name(arguments...); }
  static std::string name() { return "()"; }
  static std::string name(Self&) { return "(self)"; }
  static std::string name(Events) { return "(events)"; }
  static std::string name(int) { return "(number)"; }
  static std::string name(Self&, Events) { return "(self, events)"; }
  static std::string name(Self&, int) { return "(self, number)"; }
  std::string* way;
};

BACKEND_TEST(CallbackTest, OfAGenericCallableGetsTheMostArguments) {
  Base base(options());
  std::string event_way, timer_way, ticker_way, signal_way, alarm_way, hook_way, after_way;
  Event event(base, -1, Events::timeout, Anything<Event>{&event_way});
  Timer timer(base, Anything<Timer>{&timer_way});
  Ticker ticker(base, Anything<Ticker>{&ticker_way});
  Signal signal(base, SIGUSR1, Anything<Signal>{&signal_way});
  Alarm alarm(base, Anything<Alarm>{&alarm_way});
  Hook hook(base, Hook::When::before_wait, Anything<Hook>{&hook_way});

  event.attach(1s);
  timer.attach(1s);
  ticker.attach(1s);
  signal.attach();
  alarm.attach(time.wall() + 1s);
  base.after(1s, Anything<Event>{&after_way});
  ::raise(SIGUSR1);
  base.stop_after(2s);
  run(base);

  EXPECT_EQ(event_way, "(self, events)");
  EXPECT_EQ(timer_way, "(self, events)");
  EXPECT_EQ(ticker_way, "(self, events)");
  EXPECT_EQ(signal_way, "(self, number)");
  EXPECT_EQ(alarm_way, "(self, events)");
  EXPECT_EQ(hook_way, "(self, events)");
  EXPECT_EQ(after_way, "(self, events)");
}

BACKEND_TEST(CallbackTest, GetsTheObjectThatItWasGivenTo) {
  Base base(options());
  std::vector<const void*> selves;
  const auto note = [&](const void* self) { selves.push_back(self); };
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, [&](Event& self) { note(&self); });
  Timer timer(base, [&](Timer& self) { note(&self); });
  Ticker ticker(base, [&](Ticker& self) {
    EXPECT_EQ(self.missed(), 0U);
    note(&self);
    self.detach();
  });
  Alarm alarm(base, [&](Alarm& self) { note(&self); });
  Signal signal(base, SIGUSR1, [&](Signal& self) {
    note(&self);
    self.detach();
  });

  event.attach();
  timer.attach(1s);
  ticker.attach(2s);
  alarm.attach(time.wall() + 3s);
  run(base);
  signal.attach();
  ::raise(SIGUSR1);
  run(base);

  const std::vector<const void*> expected{&event, &timer, &ticker, &alarm, &signal};
  EXPECT_EQ(selves, expected);
}

BACKEND_TEST(CallbackTest, GetsTheEventsThatFired) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  Timer timer(base, recorder.note_fired());
  Alarm alarm(base, recorder.note_fired());
  Signal signal(base, SIGUSR1, [&](Signal& self, Events fired) {
    recorder.fired.push_back(fired);
    self.detach();
  });

  event.attach();
  timer.attach(1s);
  alarm.attach(time.wall() + 2s);
  run(base);
  signal.attach();
  ::raise(SIGUSR1);
  run(base);

  EXPECT_EQ(recorder.fired,
            (Fired{Events::read, Events::timeout, Events::timeout, Events::signal}));
}

BACKEND_TEST(CallbackTest, OfASignalGetsItsNumber) {
  Base base(options());
  int number = 0;
  Signal signal(base, SIGUSR2, [&](int signo) {
    number = signo;
    base.stop();
  });
  signal.attach();
  ::raise(SIGUSR2);
  run(base);

  EXPECT_EQ(number, SIGUSR2);
}

BACKEND_TEST(CallbackTest, OfAChildGetsItselfAndItsStatus) {
  Base base(options());
  const auto status_of = [&](auto make) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(7);
    int status = -1;
    const auto child = make(pid, status);
    child->attach();
    run(base);
    return status;
  };
  const int expected = status_of([&](pid_t pid, int& status) {
    return std::make_unique<Child>(base, pid, [&](int how) { status = how; });
  });
  EXPECT_EQ(WEXITSTATUS(expected), 7);
  EXPECT_EQ(status_of([&](pid_t pid, int& status) {
              return std::make_unique<Child>(base, pid, [&, pid](Child& self, int how) {
                EXPECT_EQ(self.pid(), pid);
                status = how;
              });
            }),
            expected);
  EXPECT_EQ(status_of([&](pid_t pid, int& status) {
              return std::make_unique<Child>(base, pid, [&](auto&&... arguments) {
                ((status = std::get<1>(std::tie(arguments...))));
              });
            }),
            expected);
  EXPECT_EQ(status_of([&](pid_t pid, int& status) {
              return std::make_unique<Child>(base, pid, [&](Child&, Events fired) {
                status = fired == Events::signal ? expected : -1;
              });
            }),
            expected);
}

}  // namespace
}  // namespace event_cpp::test
