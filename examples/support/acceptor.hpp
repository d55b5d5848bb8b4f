// Acceptor: takes connections from a listening socket, and lives through running out of
// descriptors.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <event/event.hpp>
#include <functional>
#include <iostream>
#include <optional>
#include <system_error>
#include <utility>

#include "socket.hpp"
#include "unique_fd.hpp"

namespace support {

// Calls back with each connection, from construction until destruction.
class Acceptor {
 public:
  Acceptor(event::Base& base, UniqueFd listener, std::function<void(UniqueFd)> on_connection)
      : base_(base),
        listener_(std::move(listener)),
        on_connection_(std::move(on_connection)),
        readable_(base, listener_.get(), event::Events::read | event::Events::persist,
                  [this] { accept_batch(); }),
        retry_(base, [this] { listen_again(); }) {
    readable_.attach();
  }

  // A descriptor has been closed: if accepting waits for one, it goes on now.
  void resume() {
    if (retry_.detach()) listen_again();
  }

 private:
  // Bounded, so that a crowd at the door does not keep those inside waiting: what is left over is
  // reported again in the next iteration, after everybody else's turn.
  static constexpr int kBatch = 16;
  static constexpr event::Duration kRetryAfter = std::chrono::milliseconds(100);
  static constexpr event::Duration kReportEvery = std::chrono::seconds(1);

  void accept_batch() {
    for (int i = 0; i < kBatch; ++i) {
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
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
  std::optional<event::TimePoint> reported_;
  event::Event readable_;
  event::Timer retry_;
};

}  // namespace support
