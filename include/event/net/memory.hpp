// Memory: two connected streams without a network.
#pragma once

#include <cstddef>
#include <memory>
#include <system_error>

#include "event/net/stream.hpp"

namespace event_cpp::net {

// A connection in memory: what is written at one end is read at the other. For tests, and for
// layers over a stream. With ManualTime all of it is deterministic.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the base outlives it; both
// ends are destroyed with it.
class EVENT_API Memory {
 public:
  // `room` is how many bytes can be written in each direction before the other end has read any.
  // Then writing would block. Errors: throws std::bad_alloc.
  explicit Memory(Base& base, std::size_t room = std::size_t{64} << 10);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  Stream& a() noexcept;
  Stream& b() noexcept;

  // From now on no read and no write moves more than this number of bytes. Zero counts as one.
  void at_most(std::size_t bytes_a_call) noexcept;
  // From now on what is written, and the end of a direction, arrives `time` later.
  void delay(AnyDuration time) noexcept;
  // Breaks the connection after `bytes` more bytes were written, both directions together. From
  // then on writing fails with `error` at both ends. Reading first returns what has arrived, then
  // fails with `error` as well. Does nothing once it is broken.
  void break_after(std::size_t bytes, std::error_code error) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace event_cpp::net
