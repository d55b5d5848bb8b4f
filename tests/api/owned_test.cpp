// Events that the base owns: after() and once().
#include <memory>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class OwnedTest : public EveryBackend {};

BACKEND_TEST(OwnedTest, CallsOnceAfterATimeAndFreesWhatItHeld) {
  Base base(options());
  const auto shared = std::make_shared<TimePoint>();
  const TimePoint start = time.now();

  base.after(3s, [shared, &base] { *shared = base.now(); });
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(*shared, start + 3s);
  EXPECT_EQ(shared.use_count(), 1);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(OwnedTest, CallsOnceForADescriptorAlsoIfToldToPersist) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  const auto shared = std::make_shared<Fired>();

  base.once(pipe.reader.get(), Events::read | Events::persist, 0s,
            [shared](Events fired) { shared->push_back(fired); });
  EXPECT_EQ(run(base), 1U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);

  EXPECT_EQ(*shared, Fired{Events::read});
  EXPECT_EQ(shared.use_count(), 1);
}

BACKEND_TEST(OwnedTest, CallsOnceWhenTheTimeoutPassesFirst) {
  Base base(options());
  const Pipe pipe = make_pipe();

  base.once(pipe.reader.get(), Events::read, 1s, recorder.note_fired());
  run(base);
  write_bytes(pipe.writer);

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

BACKEND_TEST(OwnedTest, TakesAZeroTimeoutOfOnceForNone) {
  Base base(options());
  const Pipe pipe = make_pipe();

  base.once(pipe.reader.get(), Events::read | Events::timeout, 0s, recorder.note_fired());
  time.advance(1h);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  write_bytes(pipe.writer);
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(OwnedTest, FreesWhatOnceAndAfterWereGivenIfTheyFail) {
  Base base(options());
  const auto shared = std::make_shared<int>();

  EXPECT_EQ(thrown_by([&] { base.once(-1, Events::read, 0s, [shared] {}); }),
            Errc::descriptor_missing);
  EXPECT_EQ(thrown_by([&] { base.once(closed_number(), Events::read, 0s, [shared] {}); }),
            system_error(EBADF));

  EXPECT_EQ(shared.use_count(), 1);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(OwnedTest, CallsAfterAndOnceFromTheirOwnCallbacks) {
  Base base(options());
  struct Chain {
    void operator()() const {
      if (--*left > 0) base->after(1s, *this);
    }
    Base* base;
    int* left;
  };
  int left = 100;
  const TimePoint start = time.now();

  base.after(1s, Chain{&base, &left});
  EXPECT_EQ(run(base), 100U);

  EXPECT_EQ(time.now(), start + 100s);
}

}  // namespace
}  // namespace event_cpp::test
