// Outbox: what a connection could not send yet.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include "socket.hpp"

namespace support {

// Bytes that wait until a socket takes them. While empty it holds no memory, as most connections
// have nothing to wait for most of the time.
class Outbox {
 public:
  bool empty() const noexcept { return sent_ == bytes_.size(); }
  std::size_t size() const noexcept { return bytes_.size() - sent_; }

  void append(std::string_view bytes) {
    // Drop what is sent when it is the larger part: each byte is moved at most once on average.
    if (sent_ > bytes_.size() / 2) {
      bytes_.erase(0, sent_);
      sent_ = 0;
    }
    bytes_.append(bytes);
  }

  // Sends what the socket takes now; returns how much that was in `sent`. Errors: of send().
  [[nodiscard]] std::error_code flush(int fd, std::size_t& sent) {
    std::string_view rest = std::string_view(bytes_).substr(sent_);
    const std::error_code error = send_some(fd, rest);
    sent = size() - rest.size();
    sent_ += sent;
    if (empty()) *this = Outbox();
    return error;
  }

 private:
  std::string bytes_;
  std::size_t sent_ = 0;
};

}  // namespace support
