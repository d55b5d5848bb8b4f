// Tally: what the clients of a run have done and met.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace load {

struct Tally {
  std::uint64_t connections = 0;   // made
  std::uint64_t orderly = 0;       // ended with every byte sent also received
  std::uint64_t half_closes = 0;   // of those, while answers were under way
  std::uint64_t resets = 0;        // ended by this side's reset
  std::uint64_t stalls = 0;        // began to read after a time without
  std::uint64_t blocked = 0;       // stalled or never reading ones whose sending the server stopped
  std::uint64_t messages = 0;      // answered, of those that wait for answers
  std::uint64_t sent_orderly = 0;  // bytes of the connections that ended in order
  std::uint64_t sent_before_reset = 0;  // and of the others
  std::uint64_t received = 0;           // bytes of all

  std::vector<std::uint32_t> latencies;  // of the steady ones' messages, in microseconds

  std::uint64_t failed = 0;
  std::vector<std::string> failures;  // the first ones

  void fail(std::string why) {
    ++failed;
    if (failures.size() < kShown) failures.push_back(std::move(why));
  }

 private:
  static constexpr std::size_t kShown = 12;
};

}  // namespace load
