// Servers that the tests of the adapters start and stop: on free ports, in folders of their own.
#pragma once

#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "co/support.hpp"
#include "examples/peers.hpp"

namespace event_cpp::test {

using examples_test::ChildProcess;
using examples_test::free_port;
using examples_test::TemporaryFolder;

// In the server before it runs: it ends with the test, however that ends.
inline void end_with_parent() {
#ifdef __linux__
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
}

// redis-server, which keeps nothing on disk.
class RedisServer {
 public:
  RedisServer() {
    constexpr int kAttempts = 10;  // somebody else may take the port
    for (int attempt = 1;; ++attempt) {
      port_ = free_port(SOCK_STREAM);
      try {
        start();
        return;
      } catch (const std::runtime_error&) {
        if (attempt == kAttempts) throw;
      }
    }
  }

  int port() const noexcept { return port_; }
  std::string unix_socket() const { return folder_.file("socket"); }

  // Ends it as a crash does.
  void kill() noexcept { process_.reset(); }
  // Stops and continues it.
  void signal(int number) const { process_->signal(number); }
  void start() {
    const std::vector<std::string> command{"redis-server",
                                           "--port",
                                           std::to_string(port_),
                                           "--bind",
                                           "127.0.0.1",
                                           "--save",
                                           "",
                                           "--appendonly",
                                           "no",
                                           "--dir",
                                           folder_.file(""),
                                           "--unixsocket",
                                           unix_socket()};
    process_ = std::make_unique<ChildProcess>(
        command, ChildProcess::Options{.before_exec = &end_with_parent});
    // On the port first.
    const std::string ready = "ready to accept connections at " + unix_socket();
    for (std::optional<std::string> line = ""; line->find(ready) == std::string::npos;) {
      line = process_->read_line();
      if (!line) throw std::runtime_error("redis-server: " + process_->errors());
    }
  }

 private:
  TemporaryFolder folder_;
  int port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

// PostgreSQL with a database cluster of its own, one for all tests of the process. It does not run
// as root: then it is the user postgres who does.
class Postgres {
 public:
  static constexpr const char* kPrograms = "/usr/lib/postgresql/15/bin/";

  Postgres() : port_(free_port(SOCK_STREAM)) {
    std::filesystem::permissions(folder_.file(""), std::filesystem::perms::all);
    examples_test::shell(as_user("initdb") + " -A trust -U test -N -D " + data() + " >/dev/null");
    start();
  }
  ~Postgres() { stop(); }
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;

  int port() const noexcept { return port_; }
  std::string text() const {
    return "host=127.0.0.1 port=" + std::to_string(port_) + " user=test dbname=postgres";
  }

  // Ends it as a crash does, with all its processes.
  void stop() noexcept {
    if (process_ == nullptr) return;
    process_->signal(SIGQUIT);
    static_cast<void>(process_->wait());
    process_.reset();
  }
  void start() {
    const std::vector<std::string> command{
        "/bin/sh", "-c",
        "exec " + as_user("postgres") + " -D " + data() + " -p " + std::to_string(port_) +
            " -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"};
    process_ = std::make_unique<ChildProcess>(command);
    if (!process_->wait_for_error("ready to accept connections")) {
      throw std::runtime_error("postgres: " + process_->errors());
    }
  }

 private:
  static std::string as_user(const std::string& program) {
    const std::string path = kPrograms + program;
    return ::geteuid() != 0 ? path
                            : "setpriv --reuid=postgres --regid=postgres --clear-groups"
                              " --pdeathsig=QUIT " +
                                  path;
  }
  std::string data() const { return folder_.file("data"); }

  TemporaryFolder folder_;
  int port_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace event_cpp::test
