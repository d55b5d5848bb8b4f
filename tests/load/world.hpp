// World: what the clients of a run share.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <queue>
#include <random>
#include <vector>

#include "base/unique_fd.hpp"
#include "load/material.hpp"
#include "load/roles.hpp"
#include "load/tally.hpp"

namespace load {

using event_cpp::detail::UniqueFd;

class Session;

// What all clients are to do.
enum class Mode : std::uint8_t {
  work,    // behave as their roles say
  park,    // come to an end, connect if not connected, and be idle
  retire,  // come to an end, and stay away
};

class World {
 public:
  // More than kernels buffer: if the server takes so much of a client that reads nothing, it piles
  // it up.
  static constexpr std::uint64_t kTooMuch = 64 * 1024 * 1024;

  // More than the server's kernel takes of answers that are not read: the server must keep the
  // rest, and wait for room.
  static constexpr std::uint64_t kFlood = 192 * 1024;

  // `scale` stretches every random time. Errors: throws std::system_error.
  World(std::uint16_t port, std::uint64_t seed, double scale);

  Time now() const noexcept { return now_; }
  void look_at_clock() noexcept { now_ = Clock::now(); }

  std::uint64_t between(std::uint64_t least, std::uint64_t most);
  Span span(Span least, Span most);

  // Wakes a session then; it ignores what it no longer wants.
  void wake_at(Time when, Session& session) { alarms_.push({when, &session}); }
  Time next_alarm() const { return alarms_.empty() ? Time::max() : alarms_.top().when; }
  Session* pop_due() {
    if (alarms_.empty() || alarms_.top().when > now_) return nullptr;
    Session* session = alarms_.top().session;
    alarms_.pop();
    return session;
  }

  // A socket on its way to the server, from one of this machine's many addresses, as one has too
  // few ports for connections that come and go. Errors: none, with errno.
  UniqueFd connect();

  // Connections may wait in the server's queue, but must not overflow it: the kernel would drop
  // some half-made, and they would not count alike on both sides. An answer on one says that it and
  // all before it have been accepted. One that brings answers is let in before one that does not.
  bool has_room(bool brings_answer) const noexcept {
    return tickets_ - accepted_ < (brings_answer ? queue_ : queue_ / 2);
  }
  std::uint64_t take_ticket() noexcept { return ++tickets_; }
  void has_answered(std::uint64_t ticket) noexcept {
    if (ticket > accepted_) accepted_ = ticket;
  }
  std::size_t queue() const noexcept { return queue_; }

  int epoll() const noexcept { return epoll_.get(); }

  const Material material;
  Mode mode = Mode::work;
  Tally tally;
  std::size_t open = 0;    // connections that are made
  Time last_progress{};    // of any of them: a byte sent or received
  std::size_t parked = 0;  // of these, idle as Mode::park wants it
  std::array<char, Material::kLongest> buffer;

 private:
  struct Alarm {
    Time when;
    Session* session;
    bool operator<(const Alarm& other) const noexcept { return when > other.when; }
  };

  UniqueFd epoll_;
  std::uint16_t port_;
  double scale_;
  std::mt19937_64 random_;
  Time now_ = Clock::now();
  std::priority_queue<Alarm> alarms_;
  std::uint32_t source_ = 0;
  std::uint64_t tickets_ = 0;
  std::uint64_t accepted_ = 0;
  std::size_t queue_;
};

}  // namespace load
