// Descriptors that the kernel cannot wait for are always ready, as poll(2) says.
#include <fcntl.h>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class RegularFileTest : public EveryBackend {};

BACKEND_TEST(RegularFileTest, CallsARegularFileAlwaysReady) {
  Base base(options());
  const Fd file = regular_file();
  for (const Events what : {Events::read, Events::write, Events::read | Events::write}) {
    Recorder seen;
    Event event(base, file.get(), what, seen.note_fired());

    event.attach();
    EXPECT_EQ(run(base), 1U);

    EXPECT_EQ(seen.fired, Fired{what});
  }
}

BACKEND_TEST(RegularFileTest, CallsTheNullDeviceAlwaysReady) {
  Base base(options());
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Event event(base, null.get(), Events::read | Events::write, recorder.note_fired());

  event.attach();
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::read | Events::write});
}

BACKEND_TEST(RegularFileTest, FiresAPersistentEventOnARegularFileInEachIteration) {
  Base base(options());
  const Fd file = regular_file();
  Event event(base, file.get(), Events::read | Events::persist, recorder.note_fired());

  event.attach();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  event.detach();

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(RegularFileTest, NeverCallsARegularFileClosed) {
  Base base(options());
  const Fd file = regular_file();
  Event event(base, file.get(), Events::closed, Never());

  EXPECT_EQ(event.try_attach(), std::error_code());

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  EXPECT_TRUE(event.attached());
}

BACKEND_TEST(RegularFileTest, SleepsIfNobodyWantsWhatARegularFileAlwaysIs) {
  Base base(watched());
  const Fd file = regular_file();
  Event closed(base, file.get(), Events::closed | Events::persist, Never());
  Event once(base, file.get(), Events::read, recorder.note_fired());

  closed.attach();
  once.attach();

  EXPECT_TRUE(stays_asleep(base));
  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(RegularFileTest, ServesTheOthersBesideARegularFile) {
  Base base(options());
  const Fd file = regular_file();
  const Pipe pipe = readable_pipe();
  Event always(base, file.get(), Events::write | Events::persist, recorder.note(0));
  Event ready(base, pipe.reader.get(), Events::read, recorder.note(1));
  Timer due(base, recorder.note(2));

  always.attach();
  ready.attach();
  due.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 3U);

  EXPECT_FALSE(ready.attached());
  EXPECT_FALSE(due.attached());
}

BACKEND_TEST(RegularFileTest, GivesEveryEventOnARegularFileItsTurn) {
  Base base(options());
  const Fd file = regular_file();
  Event reader(base, file.get(), Events::read, recorder.note(0));
  Event writer(base, file.get(), Events::write | Events::persist, recorder.note(1));
  Event another(base, file.get(), Events::read | Events::persist, recorder.note(2));

  reader.attach();
  writer.attach();
  another.attach();
  base.loop(RunMode::nonblock);
  writer.detach();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.order, (Order{0, 1, 2, 2}));
}

BACKEND_TEST(RegularFileTest, FiresTheTimeoutOfARegularFileWithItsReadiness) {
  Base base(options());
  const Fd file = regular_file();
  Event event(base, file.get(), Events::read | Events::timeout, recorder.note_fired());

  event.attach(0s);
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::read | Events::timeout});
}

BACKEND_TEST(RegularFileTest, WatchesAPipeThatGotTheNumberOfARegularFile) {
  for (const bool detached_first : {true, false}) {
    Base base(watched());
    Fd file = regular_file();
    const int number = file.get();
    Event old(base, number, Events::read | Events::persist, [] {});
    old.attach();
    base.loop(RunMode::nonblock);
    if (detached_first) old.detach();
    Pipe pipe = make_pipe();
    file.close();
    const Fd reader = move_to(number, std::move(pipe.reader));
    Event fresh(base, number, Events::read, recorder.note_fired());

    fresh.attach();
    old.detach();
    EXPECT_TRUE(stays_asleep(base));
    EXPECT_EQ(recorder.fired, Fired{});
    write_bytes(pipe.writer);
    EXPECT_EQ(run(base), 1U);

    EXPECT_EQ(std::exchange(recorder.fired, {}), Fired{Events::read});
  }
}

BACKEND_TEST(RegularFileTest, WatchesARegularFileThatGotTheNumberOfAPipe) {
  for (const bool detached_first : {true, false}) {
    Base base(options());
    Pipe pipe = make_pipe();
    const int number = pipe.reader.get();
    Event old(base, number, Events::read, [] {});
    old.attach();
    base.loop(RunMode::nonblock);
    if (detached_first) old.detach();
    Fd opened = regular_file();
    pipe.reader.close();
    const Fd file = move_to(number, std::move(opened));
    Event fresh(base, number, Events::read | Events::persist, recorder.note_fired());

    fresh.attach();
    old.detach();
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

    EXPECT_EQ(std::exchange(recorder.fired, {}), (Fired{Events::read, Events::read}));
  }
}

}  // namespace
}  // namespace event_cpp::test
