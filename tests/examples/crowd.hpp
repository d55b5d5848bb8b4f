// Crowd: many clients of an echo server at the same time, each of which checks what comes back.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/uninterrupted.hpp"
#include "tcp_client.hpp"

namespace examples_test {

using event_cpp::test::uninterrupted;

// Sends `bytes` in pieces of random length, and checks that they come back in order.
class EchoClient {
 public:
  EchoClient(std::uint16_t port, std::string_view bytes, unsigned seed)
      : client_(port), bytes_(bytes), random_(seed) {
    client_.set_non_blocking();
  }

  bool complete() const noexcept { return received_ == bytes_.size() || failed_; }
  bool failed() const noexcept { return failed_; }

  pollfd interest() const noexcept {
    const int events = (sent_ < bytes_.size() ? POLLOUT : 0) | POLLIN;
    return {client_.fd(), static_cast<short>(events), 0};
  }

  void on_ready(short events) {
    if ((events & POLLOUT) != 0) send_some();
    if ((events & ~POLLOUT) != 0) receive_some();
  }

  // After complete(): the server has nothing to add, and closes when this side does.
  bool ends_cleanly() const {
    client_.finish();
    char byte = 0;
    return client_.readable_within(kPatience) &&
           uninterrupted([&] { return ::recv(client_.fd(), &byte, 1, 0); }) == 0;
  }

 private:
  static constexpr std::size_t kMaxPiece = 8192;

  void send_some() {
    const std::string_view piece = bytes_.substr(sent_, 1 + random_() % kMaxPiece);
    const ssize_t n = uninterrupted(
        [&] { return ::send(client_.fd(), piece.data(), piece.size(), MSG_NOSIGNAL); });
    if (n > 0) sent_ += static_cast<std::size_t>(n);
    if (n < 0 && errno != EAGAIN) failed_ = true;
  }

  void receive_some() {
    std::array<char, kMaxPiece> buffer;
    const ssize_t n =
        uninterrupted([&] { return ::recv(client_.fd(), buffer.data(), buffer.size(), 0); });
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      failed_ = true;
      return;
    }
    const std::string_view got(buffer.data(), static_cast<std::size_t>(n));
    if (got != bytes_.substr(received_, sent_ - received_).substr(0, got.size())) failed_ = true;
    received_ += got.size();
  }

  TcpClient client_;
  std::string_view bytes_;
  std::minstd_rand random_;
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
  bool failed_ = false;
};

class Crowd {
 public:
  // Connects them all, before any of them sends. What they send starts at random places of the
  // same random bytes, so that a mix-up shows.
  Crowd(std::uint16_t port, std::size_t count, std::size_t max_size, unsigned seed)
      : material_(2 * max_size, '\0') {
    std::minstd_rand random(seed);
    for (char& byte : material_) byte = static_cast<char>(random() & 0xff);
    for (unsigned i = 0; i < count; ++i) {
      const std::string_view from = std::string_view(material_).substr(random() % max_size);
      const std::string_view bytes = from.substr(0, 1 + random() % max_size);
      bytes_ += bytes.size();
      clients_.emplace_back(port, bytes, seed + i);
    }
  }

  // How many bytes all of them send together.
  std::size_t bytes() const noexcept { return bytes_; }

  // Runs until everybody has got everything back; false if nothing happens for too long.
  bool run() {
    for (;;) {
      std::vector<EchoClient*> busy;
      std::vector<pollfd> interests;
      for (EchoClient& client : clients_) {
        if (client.complete()) continue;
        busy.push_back(&client);
        interests.push_back(client.interest());
      }
      if (busy.empty()) return true;
      const std::chrono::milliseconds patience = kPatience;
      const auto limit = static_cast<int>(patience.count());
      if (uninterrupted([&] { return ::poll(interests.data(), interests.size(), limit); }) <= 0)
        return false;
      for (std::size_t i = 0; i < busy.size(); ++i) {
        if (interests[i].revents != 0) busy[i]->on_ready(interests[i].revents);
      }
    }
  }

  std::ptrdiff_t failed() const {
    return std::ranges::count_if(clients_, [](const EchoClient& c) { return c.failed(); });
  }

  // How many do not end cleanly.
  std::ptrdiff_t finish() const {
    return std::ranges::count_if(clients_, [](const EchoClient& c) { return !c.ends_cleanly(); });
  }

 private:
  std::string material_;
  std::deque<EchoClient> clients_;
  std::size_t bytes_ = 0;
};

}  // namespace examples_test
