// Run: one server on one backend, from its first connection to its last word.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "load/crowd.hpp"
#include "load/report.hpp"
#include "load/watched_server.hpp"

namespace load {

// What a server may keep for later use.
struct Reserve {
  Heap heap{};
  std::uint64_t buffers = 0;  // among the blocks, for reading
};

struct ServerProgram {
  std::string name;
  std::string path;
  Reserve reserve{};
};

struct RunOptions {
  std::string meter;  // the library to preload; empty: the heap is not counted
  std::size_t connections = 9200;
  std::chrono::milliseconds time{300'000};  // of the rounds together
  unsigned rounds = 10;
  Crowd::Options crowd{};
};

class Run {
 public:
  // Errors: throws std::runtime_error if the server does not start.
  Run(const RunOptions& options, const ServerProgram& program, const std::string& backend);

  Report carry_out();

 private:
  // Grows all that grows with the largest number of connections and of events at once.
  void warm_up();
  void storm();
  void leave_at_once();
  void come_and_go();
  void hold_up_everybody();
  void hold_up(std::size_t first, std::size_t last, std::uint64_t bytes);
  void catch_up(std::size_t first, std::size_t last);
  void round(unsigned number);
  void work(Span time);
  void run_out_of_descriptors();
  void hold_out(std::size_t parked);
  void finish();
  void compare(const ServerStatistics& server);

  // All connections of this run idle, and nothing on its way.
  void park();
  void retire();
  void become_empty();
  void settle(std::size_t connections);
  void check_memory(const std::string& when, std::optional<Heap>& expected,
                    std::size_t connections);

  void until(const std::string& what, const std::function<bool()>& done);
  void during(Span time) {
    run(time, [] { return false; });
  }
  bool run(Span time, const std::function<bool()>& done);
  // There is no way on from here.
  struct GivenUp {};

  void expect(bool kept, const std::string& broken);
  Calm expect_calm(const std::string& when, Span time, double wake_ups);
  void say(const std::string& what) const;

  const RunOptions options_;
  const Reserve reserve_;
  Report report_;
  WatchedServer server_;
  Crowd crowd_;
  World& world_;
  std::size_t late_;                // sessions beyond the ones that the run holds
  std::size_t own_descriptors_;     // the server's, without any connection
  std::optional<Heap> idle_heap_;   // with all connections
  std::optional<Heap> empty_heap_;  // with none
  std::size_t most_resident_ = 0;   // in KiB, while many were held up in the warm-up
};

}  // namespace load
