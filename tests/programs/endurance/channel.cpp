#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "endurance/world.hpp"
#include "support/uninterrupted.hpp"

namespace event_cpp::endurance {

Channel::Channel(bool socket) {
  std::array<int, 2> ends{};
  const int result =
      socket ? ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) : ::pipe(ends.data());
  if (result != 0) throw std::system_error(errno, std::system_category(), "a channel");
  ours_ = ends[0];
  theirs_ = ends[1];
  ::fcntl(ours_, F_SETFL, O_NONBLOCK);
}

Channel::~Channel() {
  ::close(ours_);
  ::close(theirs_);
}

void Channel::write(std::size_t bytes) const {
  const std::array<char, 64> data{};
  if (test::uninterrupted([&] { return ::write(theirs_, data.data(), bytes); }) !=
      static_cast<ssize_t>(bytes)) {
    throw std::system_error(errno, std::system_category(), "writing to a channel");
  }
}

std::size_t Channel::read(std::size_t most) const {
  std::array<char, 4096> data{};
  const ssize_t got = test::uninterrupted([&] { return ::read(ours_, data.data(), most); });
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

}  // namespace event_cpp::endurance
