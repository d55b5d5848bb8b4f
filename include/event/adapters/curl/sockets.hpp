// Sockets: the sockets that libcurl asks to watch, with an event for each.
#pragma once

#include <curl/curl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>

#include "event/adapters/detail/disconnect.hpp"
#include "event/base.hpp"

namespace event_cpp::curl::detail {

// libcurl requests interests in a callback, and is called when a socket is ready. It sometimes
// fails to withdraw an interest in a socket that is always ready. So a socket that is ready very
// often without any progress is not watched for a while.
class Sockets {
 public:
  // `ready(fd, CURL_CSELECT_* bits)` is called for a ready socket; `progress()` returns a number
  // that changes with any progress; `stuck(fd)` is called when a socket is not watched for a while.
  struct Calls {
    std::function<void(curl_socket_t, int)> ready;
    std::function<std::uint64_t()> progress;
    std::function<void(curl_socket_t)> stuck;
  };
  static constexpr unsigned kMostTurns = 1000;
  static constexpr std::chrono::seconds kAside{1};

  Sockets(Base& base, Calls calls) : base_(base), calls_(std::move(calls)) {}
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  // For CURLMOPT_SOCKETFUNCTION: `what` is CURL_POLL_*. Returns false if it cannot be watched.
  bool change(curl_socket_t fd, int what) noexcept {
    if (what == CURL_POLL_REMOVE) {
      forget(fd);
      return true;
    }
    try {
      std::unique_ptr<Socket>& socket = sockets_[fd];
      if (socket == nullptr) {
        inodes_[fd] = inode_of(fd);
        socket = std::make_unique<Socket>(base_, *this);
      }
      socket->watch(fd, events_of(what));
      return true;
    } catch (...) {
      forget(fd);
      return false;
    }
  }
  // Call it before or after the socket is closed; the fd may have been reused already.
  void forget(curl_socket_t fd) noexcept { sockets_.erase(fd); }
  // Call it when the socket of a connection is closed.
  void closed(curl_socket_t fd) noexcept {
    forget(fd);
    inodes_.erase(fd);
  }
  void clear() noexcept { sockets_.clear(); }

  // In the child of a fork: disconnects the connections of the parent, also those that are kept.
  void disconnect() noexcept {
    for (const auto& [fd, inode] : inodes_) {
      if (inode != 0 && inode_of(fd) == inode) adapters::detail::disconnect(fd);
    }
    inodes_.clear();
  }

  std::size_t size() const noexcept { return sockets_.size(); }

 private:
  // Tells a socket from another one that reuses its fd. 0: no open socket.
  static ino_t inode_of(curl_socket_t fd) noexcept {
    struct stat file {};
    return ::fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode) ? file.st_ino : 0;
  }
  static Events events_of(int what) noexcept {
    Events events = Events::persist;
    if ((what & CURL_POLL_IN) != 0) events |= Events::read;
    if ((what & CURL_POLL_OUT) != 0) events |= Events::write;
    return events;
  }

  class Socket final : public Event {
   public:
    Socket(Base& base, Sockets& sockets) noexcept
        : Event(base, -1, Events::none, Event::Calls<&Socket::fire>()), sockets_(sockets) {}

    void watch(curl_socket_t fd, Events events) {
      wanted_ = events;
      turns_ = 0;
      if (attached()) {
        modify(events);
      } else if (any(events & (Events::read | Events::write))) {
        attach(fd, events);
      }
    }

   private:
    friend Sockets;
    static void fire(Event& event, Events fired) {
      auto& socket = static_cast<Socket&>(event);
      socket.sockets_.ready(socket, fired);
    }

    Sockets& sockets_;
    Events wanted_ = Events::none;
    unsigned turns_ = 0;  // without progress
    std::uint64_t progress_ = 0;
  };

  void ready(Socket& socket, Events fired) {
    const curl_socket_t fd = socket.fd();
    if (any(fired & Events::timeout)) {  // it was put aside
      socket.detach();
      socket.attach(fd, socket.wanted_);
      return;
    }
    if (++socket.turns_ >= kMostTurns) {
      socket.turns_ = 0;
      const std::uint64_t progress = calls_.progress();
      if (std::exchange(socket.progress_, progress) == progress) {
        socket.detach();
        socket.attach(fd, Events::timeout, kAside);
        return calls_.stuck(fd);
      }
    }
    int bits = 0;
    if (any(fired & Events::read)) bits |= CURL_CSELECT_IN;
    if (any(fired & Events::write)) bits |= CURL_CSELECT_OUT;
    calls_.ready(fd, bits);  // last: the socket may be gone then
  }

  Base& base_;
  Calls calls_;
  std::unordered_map<curl_socket_t, std::unique_ptr<Socket>> sockets_;
  // Of all sockets until closed() is called, which libcurl does not do for those of its resolver.
  std::unordered_map<curl_socket_t, ino_t> inodes_;
};

}  // namespace event_cpp::curl::detail
