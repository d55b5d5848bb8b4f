// Poll requests of io_uring(7): their names, and the entries that make, change and end one.
#pragma once

#include <liburing.h>

#include <cstdint>

#include "backend/poll_bits.hpp"
#include "event/events.hpp"

namespace event_cpp::detail {

// The user data of a poll request, or of a request about it: a serial, a mark, and the descriptor.
class RequestName {
 public:
  RequestName(int fd, std::uint32_t serial) noexcept
      : data_(std::uint64_t{serial} << 32 | static_cast<std::uint32_t>(fd)) {}
  static RequestName of(std::uint64_t user_data) noexcept { return RequestName(user_data); }

  int fd() const noexcept { return static_cast<int>(data_ & (kAbout - 1)); }
  std::uint32_t serial() const noexcept { return static_cast<std::uint32_t>(data_ >> 32); }
  bool is_about() const noexcept { return (data_ & kAbout) != 0; }

  std::uint64_t target() const noexcept { return data_ & ~kAbout; }
  std::uint64_t about() const noexcept { return data_ | kAbout; }

 private:
  static constexpr std::uint64_t kAbout = std::uint64_t{1} << 31;

  explicit RequestName(std::uint64_t user_data) noexcept : data_(user_data) {}

  std::uint64_t data_;
};

// A request for POLLPRI alone sleeps through urgent data: the kernel does not count that bit among
// those that wake it. POLLRDBAND is set with it when any data comes.
constexpr std::uint32_t to_poll_mask(Events wanted) noexcept {
  constexpr std::uint32_t kExclusive = std::uint32_t{1} << 28;  // EPOLLEXCLUSIVE
  auto mask = static_cast<std::uint32_t>(to_poll(wanted));
  if (any(wanted & Events::urgent)) mask |= POLLRDBAND;
  if (any(wanted & Events::exclusive)) mask |= kExclusive;
  return mask;
}

inline void make_request(io_uring_sqe* entry, RequestName name, Events wanted) noexcept {
  ::io_uring_prep_poll_multishot(entry, name.fd(), to_poll_mask(wanted));
  entry->user_data = name.target();
}

// A request about `name`, of whose success nothing is heard.
inline void be_about(io_uring_sqe* entry, RequestName name) noexcept {
  entry->user_data = name.about();
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

inline void update_request(io_uring_sqe* entry, RequestName name, Events wanted) noexcept {
  ::io_uring_prep_poll_update(entry, name.target(), 0, to_poll_mask(wanted),
                              IORING_POLL_UPDATE_EVENTS | IORING_POLL_ADD_MULTI);
  be_about(entry, name);
}

// Says EALREADY, and removes nothing, while a change is about to be reported.
inline void remove_request(io_uring_sqe* entry, RequestName name) noexcept {
  ::io_uring_prep_poll_remove(entry, name.target());
  be_about(entry, name);
}

inline void cancel_request(io_uring_sqe* entry, RequestName name) noexcept {
  ::io_uring_prep_cancel64(entry, name.target(), 0);
  be_about(entry, name);
}

// In the place of what was not submitted.
inline void make_nothing(io_uring_sqe* entry, RequestName name) noexcept {
  ::io_uring_prep_nop(entry);
  be_about(entry, name);
}

}  // namespace event_cpp::detail
