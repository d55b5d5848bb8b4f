// How the client of the echo servers carries bytes: as they are.
#pragma once

#include <sys/socket.h>

#include <cstddef>

namespace bench {

class Transport {
 public:
  void begin(int fd) { fd_ = fd; }
  ssize_t send(const char* from, std::size_t size) { return ::send(fd_, from, size, MSG_NOSIGNAL); }
  ssize_t receive(char* to, std::size_t size) { return ::recv(fd_, to, size, 0); }
  void end() { ::shutdown(fd_, SHUT_WR); }

 private:
  int fd_ = -1;
};

}  // namespace bench
