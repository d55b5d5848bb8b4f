// Report: the figures of the runs, a column for each server and backend.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "load/tally.hpp"
#include "load/watched_server.hpp"

namespace load {

// The server at a moment at which so many connections are there and idle.
struct Checkpoint {
  std::string when;
  std::size_t connections = 0;
  std::optional<Heap> heap{};
  std::size_t resident_kib = 0;
};

// A time in which the server has nothing to do, or nothing that it can do.
struct Calm {
  double cpu = 0;       // of one processor
  double wake_ups = 0;  // a second
};

struct Report {
  std::string server_name;      // and its backend
  std::size_t connections = 0;  // to hold
  std::size_t least_held = 0;   // at any full second of the rounds
  std::size_t most_held = 0;
  std::size_t shut_out = 0;  // came when there were no descriptors, and were let in later
  Calm idle{};               // with all connections idle; the highest
  Calm shortage{};           // while there were no descriptors
  std::chrono::milliseconds work_time{};  // of the rounds
  std::chrono::milliseconds work_cpu{};   // the server's in that time
  std::optional<ServerStatistics> server{};
  std::vector<Checkpoint> checkpoints{};
  Tally tally{};
};

// Markdown. Sorts the latencies.
void print(std::ostream& out, std::vector<Report>& reports);

}  // namespace load
