// WatchedServer: an echo server in a process of its own, and all that can be seen of it from
// outside.
#pragma once

#include <sys/mman.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "examples/child_process.hpp"
#include "faults/calls.hpp"

namespace load {

using event_cpp::detail::UniqueFd;

struct Heap {
  std::uint64_t bytes = 0;
  std::uint64_t blocks = 0;
  bool operator==(const Heap&) const = default;
};

// What the server says at its end.
struct ServerStatistics {
  std::uint64_t connections = 0;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::uint64_t errors = 0;
  std::uint64_t idle = 0;
};

class WatchedServer {
 public:
  // `meter` is event_faults, to be preloaded: here it counts the heap, and lets nothing fail.
  // Empty: the heap is not counted. Errors: throws std::runtime_error if it does not listen.
  WatchedServer(const std::string& program, const std::string& backend, const std::string& meter);

  std::uint16_t port() const noexcept { return port_; }
  std::chrono::milliseconds cpu_time() const { return process_->cpu_time(); }
  std::size_t resident_kib() const { return process_->private_memory(); }
  std::optional<Heap> heap() const;
  bool sleeping() const;         // waits for something, and nothing has come
  std::uint64_t sleeps() const;  // how often it has begun to

  struct Descriptors {
    std::size_t count = 0;
    std::size_t kept = 0;  // numbers that were closed, where a build checks the use of them
    std::size_t highest = 0;
  };
  Descriptors descriptors() const;
  void limit_descriptors(std::size_t count) const;

  void pause() const { process_->signal(SIGSTOP); }
  void resume() const { process_->signal(SIGCONT); }

  // What it has said on standard error by now; to be asked for now and then, before its pipe fills.
  const std::string& errors() const { return process_->errors(); }

  // Ends it as `kill` does; nothing if it does not end well.
  std::optional<ServerStatistics> stop();

 private:
  // The meter's report: it lives in memory only, and goes with this.
  class Counters {
   public:
    Counters();
    ~Counters();
    Counters(const Counters&) = delete;
    Counters& operator=(const Counters&) = delete;
    std::string path() const;
    const event_cpp::faults::Report& operator*() const noexcept { return *mapped_; }

   private:
    UniqueFd fd_;
    event_cpp::faults::Report* mapped_ = nullptr;
  };

  std::optional<Counters> counters_;
  std::unique_ptr<examples_test::ChildProcess> process_;
  std::uint16_t port_ = 0;
};

}  // namespace load
