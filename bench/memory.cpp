// Bytes per attached event: the object, and what the library allocates for it.
//
//   memory [COUNT]
#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include "event/event.hpp"

namespace {

using event::Events;

std::size_t heap_in_use() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// What attaching `events` made the heap grow by, per event. The objects themselves are there
// before.
void report(const char* what, std::size_t size,
            const std::vector<std::unique_ptr<event::Event>>& all,
            const std::function<void(event::Event&)>& attach) {
  const std::size_t before = heap_in_use();
  for (const auto& one : all) attach(*one);
  const double heap = static_cast<double>(heap_in_use() - before) / static_cast<double>(all.size());
  std::printf("%-32s object %3zu  heap %6.1f  total %6.1f\n", what, size, heap,
              static_cast<double>(size) + heap);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 10'000;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  std::vector<int> fds;
  for (std::size_t i = 0; i < count; ++i) {
    fds.push_back(::eventfd(0, 0));
    if (fds.back() < 0) return std::perror("eventfd"), 1;
  }
  const auto events_on = [&](event::Base& base, Events mask) {
    std::vector<std::unique_ptr<event::Event>> events;
    for (const int fd : fds) {
      const bool on_descriptor = any(mask & Events::read);
      events.push_back(std::make_unique<event::Event>(base, on_descriptor ? fd : -1, mask, [] {}));
    }
    return events;
  };
  using std::chrono::seconds;
  {
    event::Base base;
    report("persistent read", sizeof(event::Event), events_on(base, Events::read | Events::persist),
           [](event::Event& e) { e.attach(); });
  }
  {
    event::Base base;
    report("persistent read, idle timeout", sizeof(event::Event),
           events_on(base, Events::read | Events::persist),
           [](event::Event& e) { e.attach(seconds(60)); });
  }
  {
    event::Base base;
    report("timer", sizeof(event::Timer), events_on(base, Events::timeout),
           [](event::Event& e) { e.attach(seconds(60)); });
  }
}
