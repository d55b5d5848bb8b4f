// Bytes of heap that a loop takes for each object that it is given, beside the object.
#pragma once

#include <malloc.h>

#include <cstddef>
#include <vector>

#include "support/clock.hpp"
#include "support/contender.hpp"
#include "support/pinned.hpp"
#include "support/system.hpp"

namespace bench {

inline std::size_t heap_in_use() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// `make` constructs and starts one of them.
template <class Object, class Make>
Figures measure_heap(std::uint64_t count, const Make& make) {
  Pinned<Object> objects(count);
  const std::size_t before = heap_in_use();
  for (std::uint64_t i = 0; i < count; ++i) make(objects);
  const auto heap = static_cast<double>(heap_in_use() - before) / static_cast<double>(count);
  const auto object = static_cast<double>(Object::kBytes);
  return {{"object", object}, {"heap", heap}, {"bytes", object + heap}};
}

// `Watch` is Read or IdleRead.
template <class C, class Watch>
struct WatchMemory {
  Figures run(std::uint64_t count) {
    // Made first: its own descriptors are low, and its tables are still small.
    auto* const loop = new typename C::Loop;
    std::vector<int> fds;
    while (fds.size() < count) fds.push_back(make_eventfd());
    return measure_heap<Watch>(count, [&](Pinned<Watch>& objects) {
      objects.add(*loop, fds[objects.size()], NoHandler{}).start();
    });
  }
};

template <HasTimer C>
struct TimerMemory {
  using Timer = typename C::template Timer<NoHandler>;

  Figures run(std::uint64_t count) {
    auto* const loop = new typename C::Loop;
    return measure_heap<Timer>(count, [&](Pinned<Timer>& objects) {
      objects.add(*loop, NoHandler{}).start(60 * kSecond);
    });
  }
};

}  // namespace bench
