// The list of a base's events.
#include <csignal>
#include <sstream>
#include <string>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class DumpTest : public EveryBackend {};

std::string dump(const Base& base) {
  std::ostringstream text;
  base.dump(text);
  return text.str();
}

BACKEND_TEST(DumpTest, ListsEachAttachedEventOnALineOfItsOwn) {
  Base base(options());
  const Sockets sockets = socket_pair();
  const std::string fd = "fd " + std::to_string(sockets.ours.get());
  Event reader(
      base, sockets.ours.get(), Events::read | Events::closed | Events::persist, [] {},
      Priority::high);
  Event writer(base, sockets.ours.get(), Events::write | Events::urgent, [] {});
  Timer later(base, [] {});
  Ticker ticker(
      base, [] {}, Priority::low);
  Signal signal(base, SIGUSR1, [] {});
  Event once(base, SIGUSR2, Events::signal, [] {});
  Alarm alarm(base, [] {});
  Alarm earlier(
      base, [] {}, Priority::high);
  Timer detached(base, [] {});

  EXPECT_EQ(dump(base), "") << "nothing is attached";
  reader.attach(90s);
  writer.attach();
  later.attach(3s);
  ticker.attach(1500ms);
  ticker.keep_alive(false);
  signal.attach();
  once.attach(1ms);
  alarm.attach(time.wall() + 24h);
  earlier.attach(time.wall() + 1s);

  EXPECT_EQ(dump(base), fd + " read|closed, persist, high, due in 90.000 s, waiting\n" + fd +
                            " write|urgent, one-shot, middle, waiting\n"
                            "ticker, persist, low, due in 1.500 s, not keeping alive, waiting\n"
                            "timer, one-shot, middle, due in 3.000 s, waiting\n"
                            "signal 10, persist, middle, waiting\n"
                            "signal 12, one-shot, middle, due in 0.001 s, waiting\n"
                            "alarm, one-shot, high, due in 1.000 s, waiting\n"
                            "alarm, one-shot, middle, due in 86400.000 s, waiting\n");
}

BACKEND_TEST(DumpTest, ListsWhatIsActiveAndWhy) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  const std::string fd = "fd " + std::to_string(pipe.reader.get());
  std::string text;
  Event event(base, pipe.reader.get(), Events::read | Events::persist, [] {});
  Timer timer(base, [] {});
  Alarm alarm(base, [] {});
  Timer first(
      base, [&] { text = dump(base); }, Priority::high);
  Ticker ticker(base, [] {});
  ticker.attach(1500ms);
  event.attach(1s);
  timer.attach(2s);
  alarm.attach(time.wall() + 2s);
  first.attach(2s);
  time.advance(2s);

  base.loop(RunMode::nonblock);

  EXPECT_EQ(text, fd + " read, persist, middle, active: read|timeout\n"
                       "timer, one-shot, middle, active: timeout\n"
                       "ticker, persist, middle, due in 1.000 s, active: timeout\n"
                       "alarm, one-shot, middle, active: timeout\n");
}

BACKEND_TEST(DumpTest, SaysWhichOptionsAreOnAndWhatWasClosed) {
  Base base(options());
  Pipe pipe = make_pipe();
  const int number = pipe.reader.get();
  Event event(base, number, Events::read | Events::persist, Never());
  event.attach();
  pipe.reader.close();
  const Fd reused = move_to(number, make_pipe().reader);
  const bool has_edge = base.backend() != Backend::poll;
  Event newer(base, number, Events::read | (has_edge ? Events::edge : Events::none), [] {});
  newer.attach();

  const std::string fd = "fd " + std::to_string(number);
  const std::string edge = has_edge ? ", edge" : "";
  EXPECT_EQ(dump(base), fd + " (closed) read, persist, middle, waiting\n" + fd + " read" + edge +
                            ", one-shot, middle, waiting\n");
}

BACKEND_TEST(DumpTest, ListsADueTimerOnceHoweverLateItIs) {
  Base base(options());
  Timer timer(base, [] {});
  timer.attach(1s);
  time.advance(5s);

  EXPECT_EQ(dump(base), "timer, one-shot, middle, due now, waiting\n");
}

}  // namespace
}  // namespace event_cpp::test
