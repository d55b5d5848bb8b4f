// Session: one client, which comes, behaves as its role says, checks every byte, goes, and comes
// again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"
#include "load/roles.hpp"
#include "load/world.hpp"

namespace load {

using event_cpp::detail::UniqueFd;

// Pinned: the kernel and the world's alarms hold its address.
class Session {
 public:
  Session(World& world, Role role, std::size_t number)
      : world_(world), role_(role), number_(number) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void on_event(std::uint32_t events);
  void on_alarm();

  // Does what World::mode says from now on; what it begins with that, after a while.
  void follow_mode(Span after = {});

  // Gives it up if it should have got on and has not for so long.
  void check_progress(Span patience);

  bool connected() const noexcept { return state_ == State::open || state_ == State::finishing; }
  bool parked() const noexcept { return parked_; }
  bool away() const noexcept { return state_ == State::away; }

  // One more message and its answer. Requires: parked().
  void greet_again();

  // Sends so much without reading, until it is told to park. Requires: parked().
  void flood(std::uint64_t bytes);

  // Ends in order, and stays away until the next follow_mode(). Requires: parked().
  void leave();

 private:
  enum class State : std::uint8_t { away, connecting, open, finishing };

  void connect();
  void on_connected();
  void begin(const Plan& plan, Span after = {});
  void cut_short();
  void step();
  void begin_piece();
  void send_some();
  void receive();
  void accept_bytes(std::size_t count);
  void count_stall();
  void on_answered();
  void note_progress();
  void on_end_of_stream();
  bool wants_to_end() const;
  void end();
  void reset();
  void close(std::uint64_t& sent_total);
  void fail(const std::string& why);
  void set_parked(bool parked);
  void watch();
  void wake_next();
  void wake_at(Time when);

  bool reading() const noexcept { return world_.now() >= reads_from_; }
  bool brings_answer() const noexcept;

  World& world_;
  const Role role_;
  const std::size_t number_;
  State state_ = State::away;
  Plan plan_;
  UniqueFd fd_;
  std::uint32_t watched_ = 0;
  std::uint64_t ticket_ = 0;
  std::uint64_t start_ = 0;  // of its stream
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t target_ = 0;  // it may send so far before it pauses
  bool parked_ = false;
  bool left_ = false;
  bool awaiting_ = false;  // an answer, whose message began at piece_began_
  bool stalled_ = false;   // has not read yet
  Time connected_at_{};
  Time piece_began_{};
  Time next_piece_at_{};
  Time reads_from_{};
  Time ends_at_{};
  Time progress_at_{};
  Time alarm_ = Time::max();  // the one that counts of those that it has set
};

}  // namespace load
