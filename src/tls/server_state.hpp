// What a Server holds.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "event/tls/server.hpp"
#include "tls/tickets.hpp"

namespace event_cpp::tls::detail {

class ServerState {
 public:
  explicit ServerState(Context context) : context_(std::move(context)) {}

  static const std::shared_ptr<ServerState>& of(const Server& server) noexcept {
    return server.state_;
  }

  void replace(Context context) noexcept {
    const std::lock_guard lock(mutex_);
    std::swap(context_, context);
  }
  Context current() const noexcept {
    const std::lock_guard lock(mutex_);
    return context_;
  }
  TicketKeys& tickets() noexcept { return tickets_; }

 private:
  mutable std::mutex mutex_;
  Context context_;
  TicketKeys tickets_;
};

}  // namespace event_cpp::tls::detail
