// Of the events that are ready at the same time, high ones run before middle ones, and these before
// low ones, in whatever order they were attached.
//
// Try it:   priority          it ends by itself

#include <sys/socket.h>

#include <cerrno>
#include <event/event.hpp>
#include <event/net.hpp>
#include <iostream>
#include <system_error>
#include <utility>

namespace {

using event::Events;
using event::Priority;
using event::net::Socket;

// A descriptor that is readable: all three events will find it so at once.
Socket readable_socket() {
  std::pair<Socket, Socket> ends = Socket::pair();
  if (::send(ends.second.fd(), "x", 1, 0) != 1) {
    throw std::system_error(errno, std::system_category(), "send");
  }
  return std::move(ends.first);
}

}  // namespace

int main() {
  const Socket socket = readable_socket();
  event::Base base;
  const auto print = [](const char* name) { return [name] { std::cout << ' ' << name; }; };
  event::Event low(base, socket.fd(), Events::read, print("low"), Priority::low);
  event::Event middle(base, socket.fd(), Events::read, print("middle"), Priority::middle);
  event::Event high(base, socket.fd(), Events::read, print("high"), Priority::high);

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
