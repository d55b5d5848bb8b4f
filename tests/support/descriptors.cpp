// Makes descriptors with the system calls that every POSIX system has.
#include "support/descriptors.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace event_cpp::test {
namespace {

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
  return result;
}

void make_non_blocking(const Fd& fd) {
  check(::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK), "fcntl");
}

Fd non_blocking(int number) {
  Fd fd(number);
  make_non_blocking(fd);
  return fd;
}

sockaddr* generic(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }

Fd tcp_socket() { return Fd(check(::socket(AF_INET, SOCK_STREAM, 0), "socket")); }

Fd listener(sockaddr_in& address) {
  Fd fd = tcp_socket();
  address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  check(::bind(fd.get(), generic(address), size), "bind");
  check(::getsockname(fd.get(), generic(address), &size), "getsockname");
  check(::listen(fd.get(), 1), "listen");
  return fd;
}

}  // namespace

void Fd::close() noexcept {
  if (open()) ::close(std::exchange(number_, -1));
}

Pipe make_pipe() {
  std::array<int, 2> ends{};
  check(::pipe(ends.data()), "pipe");
  return {non_blocking(ends[0]), non_blocking(ends[1])};
}

Pipe readable_pipe() {
  Pipe pipe = make_pipe();
  write_bytes(pipe.writer);
  return pipe;
}

Sockets socket_pair() {
  std::array<int, 2> ends{};
  check(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), "socketpair");
  return {non_blocking(ends[0]), non_blocking(ends[1])};
}

Sockets tcp_pair() {
  sockaddr_in address{};
  const Fd listening = listener(address);
  Fd theirs = tcp_socket();
  check(::connect(theirs.get(), generic(address), sizeof address), "connect");
  Fd ours(check(::accept(listening.get(), nullptr, nullptr), "accept"));
  make_non_blocking(ours);
  make_non_blocking(theirs);
  return {std::move(ours), std::move(theirs)};
}

Fd refused_connection() {
  sockaddr_in address{};
  listener(address).close();
  Fd fd = tcp_socket();
  make_non_blocking(fd);
  if (::connect(fd.get(), generic(address), sizeof address) == 0 || errno != EINPROGRESS) {
    throw std::system_error(errno, std::system_category(), "connect");
  }
  return fd;
}

Fd regular_file() {
  std::FILE* file = std::tmpfile();
  if (file == nullptr) throw std::system_error(errno, std::system_category(), "tmpfile");
  Fd fd(::dup(::fileno(file)));
  std::fclose(file);
  check(fd.get(), "dup");
  return fd;
}

Fd duplicate(const Fd& of) { return Fd(check(::dup(of.get()), "dup")); }

void duplicate_onto(int number, const Fd& of) { check(::dup2(of.get(), number), "dup2"); }

Fd move_to(int number, Fd file) {
  if (file.get() == number) return file;
  check(::dup2(file.get(), number), "dup2");
  return Fd(number);
}

int closed_number() {
  Fd fd(check(::dup(0), "dup"));
  const int number = fd.get();
  fd.close();
  return number;
}

void write_bytes(const Fd& to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    check(static_cast<int>(::write(to.get(), "x", 1)), "write");
  }
}

void read_bytes(const Fd& from, std::size_t count) {
  char byte = 0;
  for (std::size_t i = 0; i < count; ++i) {
    check(static_cast<int>(::read(from.get(), &byte, 1)), "read");
  }
}

void drain(const Fd& from) {
  std::array<char, 4096> buffer{};
  while (::read(from.get(), buffer.data(), buffer.size()) > 0) {
  }
}

void fill(const Fd& to) {
  static constexpr std::array<char, 65536> kZeros{};
  for (std::size_t size = kZeros.size(); size > 0;) {
    if (::write(to.get(), kZeros.data(), size) < 0) size /= 2;
  }
}

void end_writing(const Fd& on) { check(::shutdown(on.get(), SHUT_WR), "shutdown"); }

void reset(Fd connection) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  check(::setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once),
        "setsockopt");
}

}  // namespace event_cpp::test
