// Values of flags that have no name are ignored, or have one documented meaning.
#include <fcntl.h>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

constexpr Events kNamed = Events::read | Events::write | Events::timeout | Events::persist |
                          Events::signal | Events::closed | Events::urgent | Events::error |
                          Events::edge | Events::exclusive;
constexpr Events kNameless = ~kNamed;

class EventMaskTest : public EveryBackend {};

BACKEND_TEST(EventMaskTest, IgnoresBitsWithoutAName) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read | kNameless, recorder.note_fired());
  EXPECT_EQ(event.events(), Events::read);
  event.attach(1s);
  run(base);

  event.assign(pipe.reader.get(), kReadPersist | kNameless);
  EXPECT_EQ(event.events(), kReadPersist);
  event.attach(1s);
  base.loop(RunMode::nonblock);
  event.detach();
  event.attach(pipe.reader.get(), Events::read | kNameless, 1s);
  EXPECT_EQ(event.events(), Events::read);
  run(base);
  base.once(pipe.reader.get(), Events::read | kNameless, 1s, recorder.note_fired());
  run(base);
  event.activate(kNameless);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  event.activate(Events::write | kNameless);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.fired,
            (Fired{Events::read, Events::read, Events::read, Events::read, Events::write}));
}

BACKEND_TEST(EventMaskTest, IsAskedForWhatItLacksByItsComplement) {
  for (const Events without : {Events::none, Events::signal, Events::exclusive, Events::timeout,
                               Events::signal | Events::exclusive}) {
    Base base(options());
    const Pipe pipe = readable_pipe();
    Event event(base, pipe.reader.get(), ~without, [](Event& self) { self.detach(); });
    static_cast<void>(event.try_attach(1s));
    static_cast<void>(base.loop(RunMode::nonblock));
  }
}

BACKEND_TEST(EventMaskTest, OfABitWithoutANameWaitsForNothing) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), kNameless, Never());
  EXPECT_EQ(event.try_attach(), Errc::nothing_to_wait_for);
}

BACKEND_TEST(EventMaskTest, HasACounterpartForEachOtherFlag) {
  Options odd = options();
  odd.clock = static_cast<Clock>(77);
  Base base(odd);
  const auto priority = static_cast<Priority>(200);
  Hook hook(base, static_cast<Hook::When>(99), [&](Hook&) { recorder.order.push_back(1); });
  Timer timer(base, recorder.note(2), priority);
  timer.set_priority(priority);
  timer.attach();
  base.post([] {}, priority);
  EXPECT_EQ(base.loop(RunMode::nonblock | static_cast<RunMode>(0xf8)), 2U);

  EXPECT_EQ(hook.when(), Hook::When::before_wait);
  EXPECT_EQ(timer.priority(), Priority::low);
  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

TEST(BackendValueTest, WithoutANameIsUnsupported) {
  Options odd;
  odd.backend = static_cast<Backend>(200);
  EXPECT_EQ(thrown_by([&] { Base base(odd); }), Errc::unsupported);
}

// attach(fd, events): another file in the same call

class AttachFileTest : public EveryBackend {};

BACKEND_TEST(AttachFileTest, WatchesAnotherFileOnTheSameNumber) {
  Base base(options());
  Pipe first = make_pipe();
  const int number = first.reader.get();
  Event event(base, -1, Events::none, recorder.note_fired());
  event.attach(number, Events::read);
  write_bytes(first.writer);
  run(base);

  Pipe second = make_pipe();
  ASSERT_EQ(::dup2(second.reader.get(), number), number);
  EXPECT_EQ(event.try_attach(number, Events::read, 1h), std::error_code());
  EXPECT_EQ(event.timeout(), 1h);
  write_bytes(second.writer);
  run(base);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::read}));
}

BACKEND_TEST(AttachFileTest, ChangesNothingIfItFails) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());

  event.activate(Events::write);
  EXPECT_EQ(event.try_attach(closed_number(), Events::write, 1s), system_error(EBADF));
  EXPECT_EQ(event.try_attach(-1, Events::write), Errc::descriptor_missing);
  EXPECT_EQ(thrown_by([&] { event.attach(-1, Events::none); }), Errc::nothing_to_wait_for);
  EXPECT_EQ(event.fd(), pipe.reader.get());
  EXPECT_EQ(event.events(), Events::read);
  EXPECT_EQ(event.timeout(), Duration::zero());
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U) << "it was activated before";
  event.attach();
  EXPECT_EQ(event.try_attach(pipe.writer.get(), Events::write), Errc::already_attached);
  EXPECT_EQ(event.try_assign(pipe.writer.get(), Events::write), Errc::already_attached);
  run(base);
  EXPECT_EQ(event.try_assign(pipe.writer.get(), Events::write), std::error_code());
  event.attach();
  run(base);

  EXPECT_EQ(recorder.fired, (Fired{Events::write, Events::read, Events::write}));
}

}  // namespace
}  // namespace event_cpp::test
