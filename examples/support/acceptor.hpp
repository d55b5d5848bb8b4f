// Acceptor: takes connections from a listening socket, no more than so many at a time, and lives
// through running out of descriptors.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <event/event.hpp>
#include <functional>
#include <iostream>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include "socket.hpp"
#include "unique_fd.hpp"

namespace support {

// Calls back with each connection, from construction until destruction. With `most` of them open
// it looks away until one is closed: others wait in the kernel's queue, which is bounded, too.
class Acceptor {
 public:
  static constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();

  Acceptor(event::Base& base, UniqueFd listener, std::function<void(UniqueFd)> on_connection,
           std::size_t most = kAny)
      : base_(base),
        listener_(std::move(listener)),
        on_connection_(std::move(on_connection)),
        most_(most),
        readable_(base, listener_.get(), event::Events::read | event::Events::persist,
                  [this] { accept_batch(); }),
        retry_(base, [this] { listen_again(); }) {
    readable_.attach();
  }

  // So many connections have been closed: if accepting waits for that, it goes on now.
  void resume(std::size_t closed = 1) {
    const bool was_full = open_ >= most_;
    open_ -= std::min(open_, closed);
    if (retry_.detach() || (was_full && open_ < most_ && !readable_.attached())) listen_again();
  }

 private:
  // Bounded, so that a crowd at the door does not keep those inside waiting: what is left over is
  // reported again in the next iteration, after everybody else's turn.
  static constexpr int kBatch = 16;
  static constexpr event::Duration kRetryAfter = std::chrono::milliseconds(100);
  static constexpr event::Duration kReportEvery = std::chrono::seconds(1);

  void accept_batch() {
    for (int i = 0; i < kBatch; ++i) {
      if (open_ >= most_) {
        readable_.detach();
        return;
      }
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        ++open_;
        on_connection_(UniqueFd(fd));
        continue;
      }
      const std::error_code error = last_error();
      if (would_block(error)) return;
      const bool only_this_one =
          error == std::errc::connection_aborted || error == std::errc::interrupted;
      if (!only_this_one) return pause(error);
    }
  }

  // The kernel may have no memory for this just now, either.
  void listen_again() {
    if (readable_.try_attach()) retry_.attach(kRetryAfter);
  }

  // No descriptor, or no memory, for one more. The connection stays in the kernel's queue, so the
  // listener would be reported readable again and again without end: look away for a while.
  void pause(const std::error_code& error) {
    readable_.detach();
    retry_.attach(kRetryAfter);
    if (reported_ && base_.now() - *reported_ < kReportEvery) return;
    reported_ = base_.now();
    std::cerr << "accept: " << error.message() << "; new connections wait\n";
  }

  event::Base& base_;
  UniqueFd listener_;
  std::function<void(UniqueFd)> on_connection_;
  std::size_t most_;
  std::size_t open_ = 0;
  std::optional<event::TimePoint> reported_;
  event::Event readable_;
  event::Timer retry_;
};

}  // namespace support
