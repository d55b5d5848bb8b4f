// Programs of others that the examples are tested with, and what they need.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <system_error>

#include "examples/child_process.hpp"
#include "examples/tcp_client.hpp"

// Skips a test without a program.
#define NEEDS_PROGRAM(name)              \
  if (!examples_test::has_program(name)) \
  GTEST_SKIP() << "there is no program " name ": scripts/setup.sh test installs it"

namespace examples_test {

// Servers are not in the PATH of every user.
inline std::string with_sbin(const std::string& line) { return "PATH=$PATH:/usr/sbin; " + line; }

inline bool has_program(const std::string& name) {
  return ChildProcess({"/bin/sh", "-c", with_sbin("command -v " + name)}).wait() == 0;
}

// Runs a command line; returns what it prints.
inline std::string shell(const std::string& line) {
  ChildProcess process({"/bin/sh", "-c", line});
  EXPECT_EQ(process.wait(), 0) << line << ": " << process.errors();
  return process.output();
}

// A socket that is bound to a free port of this machine, and not read from.
class BoundPort {
 public:
  explicit BoundPort(int type) : fd_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (!fd_ || ::bind(fd_.get(), any, size) != 0) throw_errno("bind");
    if (type == SOCK_STREAM && ::listen(fd_.get(), 16) != 0) throw_errno("listen");
    if (::getsockname(fd_.get(), any, &size) != 0) throw_errno("getsockname");
    port_ = ntohs(address.sin_port);
  }

  std::uint16_t port() const noexcept { return port_; }

 private:
  UniqueFd fd_;
  std::uint16_t port_ = 0;
};

// A port that was free a moment ago, for programs that cannot choose one.
inline std::uint16_t free_port(int type) { return BoundPort(type).port(); }

// A folder that is removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = testing::TempDir() + "event-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }
  // Makes a file of random bytes.
  std::string random_file(const std::string& name, std::size_t size) const {
    std::minstd_rand random(static_cast<unsigned>(size));
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() & 0xff);
    std::ofstream(file(name), std::ios::binary) << bytes;
    return file(name);
  }

 private:
  std::filesystem::path path_;
};

// Until a program listens there; false if it does not.
template <class F>
bool wait_until_it(F connects) {
  for (const auto begin = std::chrono::steady_clock::now();
       std::chrono::steady_clock::now() - begin < kPatience; ::usleep(10'000)) {
    if (connects()) return true;
  }
  return false;
}
inline bool wait_until_listening(std::uint16_t port) {
  return wait_until_it([port] {
    try {
      const TcpClient client(port);
      return true;
    } catch (const std::system_error&) {
      return false;  // not yet
    }
  });
}
// At a path, which exists a moment before somebody listens.
inline bool wait_until_listening(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return wait_until_it([&address] {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  });
}

// lighttpd, which serves a folder.
class Lighttpd {
 public:
  explicit Lighttpd(const TemporaryFolder& folder)
      : port_(free_port(SOCK_STREAM)),
        process_({"/bin/sh", "-c", with_sbin("exec lighttpd -D -f " + configure(folder))}) {
    if (!wait_until_listening(port_)) throw std::runtime_error("lighttpd: " + process_.errors());
  }

  std::uint16_t port() const noexcept { return port_; }

 private:
  std::string configure(const TemporaryFolder& folder) const {
    std::ofstream(folder.file("lighttpd.conf"))
        << "server.bind = \"127.0.0.1\"\nserver.port = " << port_ << "\nserver.document-root = \""
        << folder.file("") << "\"\n";
    return folder.file("lighttpd.conf");
  }

  std::uint16_t port_;
  ChildProcess process_;
};

}  // namespace examples_test
