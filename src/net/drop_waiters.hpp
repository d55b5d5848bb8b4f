// What a stream does with its two waiters when it is closed.
#pragma once

#include "event/net/detail/stream_ops.hpp"

namespace event_cpp::net::detail {

// Drops both. Dropping the first one may destroy the stream, and the second one as well: a callback
// may own the stream, or a group with a task that waits for it. So the second one stays registered
// meanwhile, and nothing of the stream is touched once it is gone. take(Want) unregisters a waiter
// and returns it, put(Want, Waiter&) registers one.
template <class Take, class Put>
void drop_waiters(Take take, Put put) noexcept {
  // Takes the place of the reader while that is dropped. Is dropped itself if the stream is
  // destroyed or closed again, which also drops the writer.
  struct Sentinel final : Waiter {
    bool is_dropped = false;
    void dropped() noexcept override { is_dropped = true; }
  } sentinel;
  if (Waiter* const reader = take(Want::read)) {
    put(Want::read, sentinel);
    reader->dropped();
    if (sentinel.is_dropped) return;
    take(Want::read);
  }
  if (Waiter* const writer = take(Want::write)) writer->dropped();
}

}  // namespace event_cpp::net::detail
