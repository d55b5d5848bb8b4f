// How the end of a connection shows: the same bits on every backend.
#include <deque>
#include <functional>
#include <vector>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class HangUpTest : public EveryBackend {};

constexpr Events kRead = Events::read;
constexpr Events kWrite = Events::write;
constexpr Events kClosed = Events::closed;
constexpr Events kAll = kRead | kWrite | kClosed;
constexpr Events kError = Events::error;

// `ours` is watched; `theirs` is what became of the other end.
using Ends = Sockets;

Ends with_data(Ends ends) {
  write_bytes(ends.theirs, 10);
  return ends;
}

Ends with_no_room(Ends ends) {
  fill(ends.ours);
  return ends;
}

Ends half_closed(Ends ends) {
  end_writing(ends.theirs);
  return ends;
}

Ends closed(Ends ends) {
  ends.theirs.close();
  return ends;
}

Ends was_reset(Ends ends) {
  reset(std::move(ends.theirs));
  return ends;
}

Ends reader() {
  Pipe pipe = make_pipe();
  return {std::move(pipe.reader), std::move(pipe.writer)};
}

Ends writer() {
  Pipe pipe = make_pipe();
  return {std::move(pipe.writer), std::move(pipe.reader)};
}

struct Situation {
  const char* name;
  std::function<Ends()> make;
  Events came_true;            // an event gets those that it asked for
  Events to_who_asks = {};     // the same for one that asks for errors, where that differs
  Events also_on_kqueue = {};  // which does not tell whether there is room

  Events told(Events mask, Backend backend) const {
    if (!any(mask & kError) || !any(to_who_asks)) return mask & came_true;
    const Events more = backend == Backend::kqueue ? also_on_kqueue : Events::none;
    return mask & (to_who_asks | more);
  }
};

const std::vector<Situation>& situations() {
  static const std::vector<Situation> all{
      {"idle socket", [] { return socket_pair(); }, kWrite},
      {"idle connection", [] { return tcp_pair(); }, kWrite},
      {"socket with data", [] { return with_data(socket_pair()); }, kRead | kWrite},
      {"socket with no room", [] { return with_no_room(socket_pair()); }, Events::none},
      {"closed socket", [] { return closed(socket_pair()); }, kAll},
      {"closed socket with data", [] { return closed(with_data(socket_pair())); }, kAll},
      {"half-closed socket", [] { return half_closed(socket_pair()); }, kAll},
      {"half-closed socket with data", [] { return half_closed(with_data(socket_pair())); }, kAll},
      {"half-closed socket with no room", [] { return half_closed(with_no_room(socket_pair())); },
       kRead | kClosed},
      {"closed connection", [] { return closed(tcp_pair()); }, kAll},
      {"closed connection with data", [] { return closed(with_data(tcp_pair())); }, kAll},
      {"half-closed connection", [] { return half_closed(tcp_pair()); }, kAll},
      {"reset connection", [] { return was_reset(tcp_pair()); }, kAll, kAll | kError},
      {"refused connection",
       [] {
         return Ends{refused_connection(), Fd()};
       },
       kAll, kAll | kError},
      {"pipe without writer", [] { return closed(reader()); }, kAll},
      {"pipe without writer, with data", [] { return closed(with_data(reader())); }, kAll},
      // Nothing will be read: an error, and no hang-up.
      {"pipe without reader", [] { return closed(writer()); }, kRead | kWrite, kWrite | kError},
      {"full pipe without reader", [] { return closed(with_no_room(writer())); }, kRead | kWrite,
       kError, kWrite},
  };
  return all;
}

const std::vector<Events>& masks() {
  static const std::vector<Events> all{
      kRead, kWrite, kRead | kWrite, kClosed,         kRead | kClosed,  kWrite | kClosed,
      kAll,  kError, kRead | kError, kWrite | kError, kClosed | kError, kAll | kError,
  };
  return all;
}

BACKEND_TEST(HangUpTest, TellsAnErrorOrAHangUpAsWhatWasAskedForTheSameOnEveryBackend) {
  for (const Situation& situation : situations()) {
    for (const Events mask : masks()) {
      Base base(options());
      const Ends ends = situation.make();
      Recorder seen;
      Event event(base, ends.ours.get(), mask, seen.note_fired());

      event.attach();
      base.loop(RunMode::nonblock);

      const Events expected = situation.told(mask, GetParam());
      EXPECT_EQ(seen.fired, any(expected) ? Fired{expected} : Fired{})
          << situation.name << ", asked for " << to_string(mask);
    }
  }
}

BACKEND_TEST(HangUpTest, TellsAHangUpToEachEventOnTheDescriptorInItsOwnWords) {
  for (const Situation& situation : situations()) {
    Base base(options());
    const Ends ends = situation.make();
    Recorder seen;
    std::deque<Event> events;
    Fired expected;
    for (const Events mask : masks()) {
      events.emplace_back(base, ends.ours.get(), mask, seen.note_fired()).attach();
      if (any(situation.told(mask, GetParam())))
        expected.push_back(situation.told(mask, GetParam()));
    }

    base.loop(RunMode::nonblock);

    EXPECT_EQ(seen.fired, expected) << situation.name;
  }
}

BACKEND_TEST(HangUpTest, TellsAHangUpThatHappensWhileTheEventIsAttached) {
  Base base(options());
  Sockets pair = socket_pair();
  Event event(base, pair.ours.get(), kRead | kClosed | Events::persist, recorder.note_fired());
  event.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);

  write_bytes(pair.theirs);
  base.loop(RunMode::nonblock);
  pair.theirs.close();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, (Fired{kRead, kRead | kClosed}));
}

BACKEND_TEST(HangUpTest, TellsOfAClosedPeerAlthoughDataIsUnread) {
  for (Ends (*make)() :
       {+[] { return with_data(tcp_pair()); }, +[] { return with_data(socket_pair()); }}) {
    Base base(watched());
    const Ends ends = make();
    Recorder seen;
    Event event(base, ends.ours.get(), kClosed, seen.note_fired());
    event.attach();
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U) << "data alone is not what it waits for";

    end_writing(ends.theirs);
    EXPECT_EQ(run(base), 1U);

    EXPECT_EQ(seen.fired, Fired{kClosed});
    EXPECT_TRUE(stays_asleep(base, 20ms)) << "although the peer stays closed";
  }
}

BACKEND_TEST(HangUpTest, SleepsAfterAOneShotEventWasToldOfAnyEnd) {
  for (const Situation& situation : situations()) {
    Base base(watched());
    const Ends ends = situation.make();
    Event event(base, ends.ours.get(), kAll | kError, [] {});

    event.attach();

    EXPECT_TRUE(stays_asleep(base, 10ms)) << situation.name;
  }
}

BACKEND_TEST(HangUpTest, FiresAPersistentEventAgainWhileTheHangUpLasts) {
  Base base(options());
  Sockets pair = socket_pair();
  Event event(base, pair.ours.get(), kRead | Events::persist, recorder.note_fired());
  event.attach();
  pair.theirs.close();

  for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, (Fired{kRead, kRead, kRead}));
}

}  // namespace
}  // namespace event_cpp::test
