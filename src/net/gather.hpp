// Several pieces as the system calls take them.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <span>

#include "event/net/bytes.hpp"

namespace event_cpp::net::detail {

// At most 64 of them: the caller goes on with the rest. Without the empty ones: else a call could
// write nothing although there is something to write.
class Gathered {
 public:
  explicit Gathered(std::span<const Bytes> pieces) noexcept {
    for (const Bytes piece : pieces) {
      if (piece.empty()) continue;
      if (count_ == parts_.size()) break;
      parts_[count_++] = {const_cast<char*>(piece.data()), piece.size()};
      size_ += piece.size();
    }
  }

  iovec* parts() noexcept { return parts_.data(); }
  const iovec* parts() const noexcept { return parts_.data(); }
  int count() const noexcept { return static_cast<int>(count_); }
  std::size_t size() const noexcept { return size_; }  // in bytes

 private:
  std::array<iovec, 64> parts_;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::size_t count_ = 0;
  std::size_t size_ = 0;
};

}  // namespace event_cpp::net::detail
