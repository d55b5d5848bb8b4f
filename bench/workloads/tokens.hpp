// Descriptors of which some are readable at any time: what is read from one makes another readable.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "support/system.hpp"

namespace bench {

// Eventfds that are always readable, and that nobody reads.
class Full {
 public:
  Full(std::size_t size, std::size_t /*active*/) {
    while (fds_.size() < size) fds_.push_back(make_eventfd(1));
  }
  const std::vector<int>& fds() const { return fds_; }
  void pass_on(std::size_t /*i*/) {}

 private:
  std::vector<int> fds_;
};

// Eventfds: each one's token goes to the next. A token that comes where one is already does not
// melt into it: there stay as many as there were.
class Ring {
 public:
  Ring(std::size_t size, std::size_t active) {
    while (fds_.size() < size) fds_.push_back(make_eventfd(0, EFD_SEMAPHORE));
    for (std::size_t i = 0; i < active; ++i) put(i * size / active);
  }
  const std::vector<int>& fds() const { return fds_; }

  void pass_on(std::size_t i) {
    std::uint64_t value = 0;
    if (::read(fds_[i], &value, sizeof value) != sizeof value) return;
    put(i + 1 == fds_.size() ? 0 : i + 1);
  }

 private:
  void put(std::size_t i) {
    const std::uint64_t one = 1;
    if (::write(fds_[i], &one, sizeof one) != sizeof one) fail("write");
  }

  std::vector<int> fds_;
};

// Pairs of sockets: each end sends back the 64 bytes that it gets.
class Pairs {
 public:
  Pairs(std::size_t size, std::size_t active) {
    while (fds_.size() < size) {
      std::array<int, 2> ends{};
      checked(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), "socketpair");
      fds_.insert(fds_.end(), ends.begin(), ends.end());
    }
    for (std::size_t i = 0; i < active; ++i) put(i * fds_.size() / active);
  }
  const std::vector<int>& fds() const { return fds_; }

  void pass_on(std::size_t i) {
    if (::recv(fds_[i], message_.data(), message_.size(), 0) > 0) put(i);
  }

 private:
  void put(std::size_t i) {
    if (::send(fds_[i], message_.data(), message_.size(), 0) < 0) fail("send");
  }

  std::vector<int> fds_;
  std::array<char, 64> message_{};
};

}  // namespace bench
