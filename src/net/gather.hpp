// Several pieces as the system calls take them.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "event/net/bytes.hpp"

namespace event_cpp::net::detail {

// At most 64 of them: the caller goes on with the rest.
class Gathered {
 public:
  explicit Gathered(std::span<const Bytes> pieces) noexcept
      : count_(std::min(pieces.size(), parts_.size())) {
    for (std::size_t i = 0; i < count_; ++i) {
      parts_[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
      size_ += pieces[i].size();
    }
  }

  iovec* parts() noexcept { return parts_.data(); }
  const iovec* parts() const noexcept { return parts_.data(); }
  int count() const noexcept { return static_cast<int>(count_); }
  std::size_t size() const noexcept { return size_; }  // in bytes

 private:
  std::array<iovec, 64> parts_;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::size_t count_;
  std::size_t size_ = 0;
};

}  // namespace event_cpp::net::detail
