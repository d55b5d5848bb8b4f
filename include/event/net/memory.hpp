// Memory: two connected streams without a network.
#pragma once

#include <cstddef>
#include <memory>
#include <system_error>

#include "event/net/stream.hpp"

namespace event_cpp::net {

// A connection in memory: what is written at one end is read at the other. For tests, and for
// protocols on top of a stream. With ManualTime it is deterministic.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the base outlives it; both
// ends are destroyed with it.
class EVENT_API Memory {
 public:
  // `room` is the size of the buffer in bytes for each direction; writing to a full one would
  // block. Errors: throws std::bad_alloc.
  explicit Memory(Base& base, std::size_t room = std::size_t{64} << 10);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  Stream& a() noexcept;
  Stream& b() noexcept;

  // Limits each later read and write to `bytes_a_call` bytes. Zero counts as one.
  void at_most(std::size_t bytes_a_call) noexcept;
  // Delays what is written later, and a later shutdown, by `time`. A negative time counts as zero.
  void delay(AnyDuration time) noexcept;
  // Breaks the connection after `bytes` more bytes were written, both directions together. From
  // then on writing fails with `error` at both ends. Reading returns what has arrived, and then
  // fails with `error`. `error` must be a system error or an event::Errc. Does nothing if the
  // connection is broken already.
  void break_after(std::size_t bytes, std::error_code error) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace event_cpp::net
