// What the heap meter counts, in memory that it shares with whoever looks.
#pragma once

#include <atomic>
#include <cstdint>

namespace load {

// The environment variable that names the file to map.
inline constexpr char kHeapMeterFile[] = "EVENT_HEAP_METER";

struct HeapCounters {
  std::atomic<std::uint64_t> bytes{0};   // asked for and not freed, to the byte
  std::atomic<std::uint64_t> blocks{0};  // likewise, how many
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace load
