// A class that is an event, made with public headers alone: what streams are built on.
#include <event/event.hpp>
#include <new>

#include "support/every_backend.hpp"
#include "support/failing_new.hpp"

namespace event_cpp::test {
namespace {

class Stream : public Event {
 public:
  Stream(Base& base, int fd, Events events)
      : Event(base, fd, events, Calls<&Stream::ready>()), reader_(new(room()) Reader{this}) {}

  Fired fired;
  bool destroys_itself = false;

 private:
  struct Reader {
    Stream* stream;
    std::size_t calls = 0;
  };
  static_assert(sizeof(Reader) <= kRoom && alignof(Reader) <= alignof(void*));

  static void ready(Event& event, Events fired) {
    auto& self = static_cast<Stream&>(event);
    EXPECT_EQ(self.reader_->stream, &self);
    ++self.reader_->calls;
    if (self.destroys_itself) {
      delete &self;
    } else {
      self.fired.push_back(fired);
    }
  }

  Reader* reader_;
};

class DerivedEventTest : public EveryBackend {};

BACKEND_TEST(DerivedEventTest, CallsItsFunctionWithItselfAndWhatFired) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Stream stream(base, pipe.reader.get(), Events::read);
  stream.attach(1s);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(stream.fired, Fired{Events::read});
  EXPECT_FALSE(stream.attached());
}

BACKEND_TEST(DerivedEventTest, FiresByActivationWithoutEverHavingBeenAttached) {
  Base base(options());
  Stream stream(base, -1, Events::read | Events::persist);
  stream.activate(Events::read);
  stream.activate(Events::write);
  EXPECT_EQ(run(base), 1U);
  EXPECT_EQ(stream.fired, Fired{Events::read | Events::write});
  EXPECT_FALSE(stream.attached());

  stream.activate(Events::closed);
  stream.detach();
  EXPECT_EQ(run(base), 0U) << "detach() calls it off";
}

BACKEND_TEST(DerivedEventTest, MayBeDestroyedByItsFunction) {
  Base base(options());
  auto* const stream = new Stream(base, -1, Events::none);
  stream->destroys_itself = true;
  stream->activate(Events::read);
  EXPECT_EQ(run(base), 1U);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(DerivedEventTest, AllocatesNothing) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be replaced here";
  Base base(options());
  const CountingNew counter;
  Stream stream(base, -1, Events::none);
  stream.activate(Events::read);
  EXPECT_EQ(counter.count(), 0U);
}

}  // namespace
}  // namespace event_cpp::test
