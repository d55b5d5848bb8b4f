// Of the events that are ready at the same time, high ones run before middle ones, and these before
// low ones, in whatever order they were attached.
//
// Try it:   priority          it ends by itself

#include <unistd.h>

#include <array>
#include <cerrno>
#include <event/event.hpp>
#include <iostream>
#include <system_error>

#include "support/unique_fd.hpp"

namespace {

using event::Events;
using event::Priority;

// A descriptor that is readable: all three events will find it so at once.
UniqueFd readable_pipe() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) throw std::system_error(errno, std::system_category(), "pipe");
  UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  if (::write(write_end.get(), "x", 1) != 1) {
    throw std::system_error(errno, std::system_category(), "write");
  }
  return read_end;
}

}  // namespace

int main() {
  const UniqueFd pipe = readable_pipe();
  event::Base base;
  const auto print = [](const char* name) { return [name] { std::cout << ' ' << name; }; };
  event::Event low(base, pipe.get(), Events::read, print("low"), Priority::low);
  event::Event middle(base, pipe.get(), Events::read, print("middle"), Priority::middle);
  event::Event high(base, pipe.get(), Events::read, print("high"), Priority::high);

  const auto run_all = [&] {
    low.attach();
    middle.attach();
    high.attach();
    base.dispatch();
  };

  std::cout << "order:";
  run_all();

  // Within a priority, the one that became active first runs first.
  low.set_priority(Priority::high);
  std::cout << "\nlow is high now:";
  run_all();
  std::cout << std::endl;
}
