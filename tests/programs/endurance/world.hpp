// A base with everything that has a deadline, for some days or weeks, and a program that does with
// it whatever a program may do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "endurance/oracle.hpp"
#include "event/event.hpp"
#include "event/manual_time.hpp"
#include "support/seeded_random.hpp"

namespace event_cpp::endurance {

using test::Random;

struct Figures {
  std::array<std::uint64_t, kKinds> fired{};
  std::uint64_t worlds = 0, iterations = 0, pushed_later = 0, pushed_earlier = 0, cancelled = 0;
  std::uint64_t destroyed = 0, jumps_forward = 0, jumps_back = 0, stalls = 0, missed = 0;
  std::uint64_t interrupted = 0;

  std::uint64_t all_fired() const noexcept;
};

// A connection that nobody may be talking on.
class Channel {
 public:
  explicit Channel(bool socket);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int fd() const noexcept { return ours_; }
  void write(std::size_t bytes) const;
  std::size_t read(std::size_t most) const;  // what it got

 private:
  int ours_ = -1;
  int theirs_ = -1;
};

// A manual clock that ends the program if it is asked again and again while nothing comes of it.
class WatchedTime final : public ManualTime {
 public:
  TimePoint now() const noexcept override;
  void note_progress() const noexcept { asked_ = 0; }

 private:
  mutable std::uint64_t asked_ = 0;
};

class World {
 public:
  World(const Options& options, WatchedTime& time, Random& random, Figures& figures);
  ~World();

  // Until `end`, or a little longer. Throws Wrong.
  void run(TimePoint end);

 private:
  static constexpr std::size_t kMostThings = 60;

  struct Thrown {};

  // One thing with a deadline; of the four, one is there.
  struct Thing {
    Id id;
    Kind kind;
    bool persist = false;
    std::unique_ptr<Channel> channel;
    std::unique_ptr<Event> event;  // a timer, or an idle timeout
    std::unique_ptr<Ticker> ticker;
    std::unique_ptr<Alarm> alarm;

    Event& watch() const { return ticker != nullptr ? *ticker : *event; }
    bool attached() const { return alarm != nullptr ? alarm->attached() : watch().attached(); }
    std::optional<TimePoint> deadline() const;
    // Of what fires again by itself; of others the longest there is.
    Duration timeout() const { return persist ? watch().timeout() : Duration::max(); }
  };

  // Running the base.
  void run_once();
  void loop(RunMode mode, Look look);
  void step_by_next_timeout();
  void check();

  // Callbacks.
  void fire(Id id, Kind kind, Events fired);
  void go_on(Thing& thing, Events fired);
  void finish_callback();

  // What a program may do.
  void act();
  void make();
  void destroy(Thing& thing);
  void attach(Thing& thing);
  void attach(Thing& thing, Duration after);
  void detach(Thing& thing);
  void rearm(Thing& thing);
  void set_priority(Thing& thing);
  void feed();
  void take(Thing& thing);
  void call_after();
  void post();
  void stall();
  void set_clock();
  void see_to_it_that_time_goes_on();

  Thing* find(Id id);
  Thing& any() { return *things_[random_.below(things_.size())]; }
  Duration duration();
  Duration period();
  WallTime time_of_day();
  bool allows(Kind kind) const { return allowed_[static_cast<std::size_t>(kind)]; }
  Kind any_kind();

  WatchedTime& time_;
  Random& random_;
  Figures& figures_;
  std::optional<Base> base_;
  const Duration slack_;
  Oracle oracle_;
  std::array<bool, kKinds> allowed_{};
  Duration span_{};
  Duration longest_{};
  std::vector<std::unique_ptr<Thing>> things_;
  TimePoint end_{};
  Id next_id_ = 1;
  bool embedded_ = false;     // now and then another loop looks at its descriptor
  bool stopped_ = false;      // by a callback, in this call of the loop
  bool interrupted_ = false;  // likewise, and it leaves things undone
};

// From the shortest to the longest, each order of magnitude as likely as any other.
Duration between(Duration shortest, Duration longest, Random& random);

// How the wall clock of such a program is set: by time servers, summer time, leap seconds,
// administrators, and to dates that nobody thinks of.
WallTime set_by_chance(WallTime from, Random& random);

// The next midnight that begins a month, or the next 29th of February.
WallTime calendar_date(WallTime after, Random& random);

}  // namespace event_cpp::endurance
