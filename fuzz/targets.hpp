// What can be fuzzed: each target takes any bytes, and the program ends if something is wrong.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace event_cpp::fuzz {

using Bytes = std::span<const std::uint8_t>;

struct Target {
  std::string_view name;
  void (*run)(Bytes bytes);
};

void run_timer_queue(Bytes bytes);
void run_active_queues(Bytes bytes);
void run_fd_table(Bytes bytes);

// A script over every backend that works here, or only over that of EVENT_FUZZ_BACKEND.
void run_loop(Bytes bytes);

// Tasks, groups and what they wait for, on a base without a kernel side.
void run_tasks(Bytes bytes);

// Any text as an address: what is understood says the same when it is read again.
void run_address(Bytes bytes);

// Lines and messages over a stream in memory that moves few bytes at a time, against a string.
void run_buffered(Bytes bytes);

// Tasks that read and write at both ends of a connection in memory, which is cut and broken.
void run_streams(Bytes bytes);

#if EVENT_FUZZ_DNS
// Any bytes as the answer of a name server, and as resolv.conf and hosts.
void run_dns(Bytes bytes);
#endif

#if EVENT_FUZZ_TLS
// A connection over TLS whose ends read, write, change keys and end, while what is between them
// moves few bytes at a time and changes some; or any bytes to either end.
void run_tls(Bytes bytes);
#endif

inline constexpr Target kTargets[] = {
    {"timer_queue", run_timer_queue},
    {"active_queues", run_active_queues},
    {"fd_table", run_fd_table},
    {"loop", run_loop},
    {"tasks", run_tasks},
    {"address", run_address},
    {"buffered", run_buffered},
    {"streams", run_streams},
#if EVENT_FUZZ_DNS
    {"dns", run_dns},
#endif
#if EVENT_FUZZ_TLS
    {"tls", run_tls},
#endif
};

// nullptr if there is none of that name.
inline const Target* find_target(std::string_view name) {
  for (const Target& target : kTargets) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

}  // namespace event_cpp::fuzz
