// One workload, run long or short, to be counted from outside: instructions by callgrind as the
// difference of two lengths, system calls by strace. See counts.py.
//
//   events CONTENDER WORKLOAD DESCRIPTORS ACTIVE EVENTS
//
// CONTENDER  event: this library; timed: the same, measuring each callback;
//            epoll: a loop written by hand, the practical limit
// WORKLOAD   ready          descriptors that are always readable, watched for ever
//            ready-timeout  the same, each with an idle timeout that starts anew at each event
//            ring           each event reads its descriptor and makes the next one readable
//            ring-oneshot   the same, one-shot, attached again in the callback
//            ring-timeout   the ring with an idle timeout of ten seconds
//            echo           pairs of sockets: each event reads 64 bytes and sends them back
//            echo-oneshot   the same, one-shot, attached again in the callback
//            change-detach  attach, a wait, detach, a wait
//            change-between attach and detach between two waits
//            change-destroy an event is made, attached, waited for and destroyed
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "event/event.hpp"

namespace {

using event::Events;

enum class Moves { never, along_the_ring, to_and_fro };

struct Workload {
  Moves moves = Moves::never;
  bool one_shot = false;
  bool timeout = false;
};

// Descriptors of which `active` are readable at any time: eventfds in a ring, or pairs of sockets.
class Ring {
 public:
  Ring(std::size_t size, std::size_t active, Moves moves) : moves_(moves) {
    while (fds_.size() < size) add();
    const std::size_t ready = moves == Moves::never ? size : active;
    for (std::size_t i = 0; i < ready; ++i) put(i * size / ready);
  }

  std::size_t size() const { return fds_.size(); }
  int fd(std::size_t i) const { return fds_[i]; }

  void pass_on(std::size_t i) {
    std::uint64_t value = 0;
    switch (moves_) {
      case Moves::never:
        return;
      case Moves::along_the_ring:
        if (::read(fds_[i], &value, sizeof value) != sizeof value) return;
        return put(i + 1 == fds_.size() ? 0 : i + 1);
      case Moves::to_and_fro:
        if (::recv(fds_[i], message_.data(), message_.size(), 0) > 0) put(i);
    }
  }

 private:
  void add() {
    std::array<int, 2> ends{::eventfd(0, EFD_NONBLOCK), -1};
    if (moves_ == Moves::to_and_fro) {
      ::close(ends[0]);
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) != 0) ends[0] = -1;
    }
    if (ends[0] < 0) std::perror("no descriptor"), std::exit(1);
    for (const int fd : ends) {
      if (fd >= 0) fds_.push_back(fd);
    }
  }

  void put(std::size_t i) {
    const std::uint64_t one = 1;
    const bool sent = moves_ == Moves::to_and_fro
                          ? ::send(fds_[i], message_.data(), message_.size(), 0) > 0
                          : ::write(fds_[i], &one, sizeof one) == sizeof one;
    if (!sent) std::abort();
  }

  std::vector<int> fds_;
  std::array<char, 64> message_{};
  Moves moves_;
};

void run_event(Ring& ring, const Workload& workload, std::uint64_t events, bool timing) {
  event::Base base({.timing = timing});
  std::uint64_t left = events;
  std::vector<std::unique_ptr<event::Event>> watches;
  Events mask = Events::read;
  if (!workload.one_shot) mask |= Events::persist;
  const event::Duration timeout = std::chrono::seconds(workload.timeout ? 10 : 0);
  struct Handler {
    Ring* ring;
    std::uint64_t* left;
    event::Base* base;
    std::size_t i;
    bool again;
    event::Duration timeout;
  };
  std::vector<Handler> handlers;
  handlers.reserve(ring.size());
  for (std::size_t i = 0; i < ring.size(); ++i) {
    handlers.push_back({&ring, &left, &base, i, workload.one_shot, timeout});
    watches.push_back(workload.moves != Moves::never
                          ? std::make_unique<event::Event>(
                                base, ring.fd(i), mask,
                                [handler = &handlers.back()](event::Event& self, Events) {
                                  handler->ring->pass_on(handler->i);
                                  if (handler->again) self.attach(handler->timeout);
                                  if (--*handler->left == 0) handler->base->stop_now();
                                })
                          : std::make_unique<event::Event>(base, ring.fd(i), mask, [&base, &left] {
                              if (--left == 0) base.stop_now();
                            }));
    watches.back()->attach(timeout);
  }
  base.dispatch();
}

void run_epoll(Ring& ring, const Workload& workload, std::uint64_t events) {
  const int set = ::epoll_create1(0);
  struct Watch {
    std::size_t i;
    int fd;
  };
  std::vector<Watch> watches(ring.size());
  for (std::size_t i = 0; i < ring.size(); ++i) {
    watches[i] = {i, ring.fd(i)};
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &watches[i];
    ::epoll_ctl(set, EPOLL_CTL_ADD, ring.fd(i), &event);
  }
  std::array<epoll_event, 1024> ready{};
  // A one-shot that is attached again in its callback needs no call: it is never taken away.
  static_cast<void>(workload);
  for (std::uint64_t left = events;;) {
    const int count = ::epoll_wait(set, ready.data(), static_cast<int>(ready.size()), -1);
    for (int n = 0; n < count; ++n) {
      const auto* watch = static_cast<const Watch*>(ready[static_cast<std::size_t>(n)].data.ptr);
      ring.pass_on(watch->i);
      if (--left == 0) return;
    }
  }
}

// `fd` is never ready.
void run_changes(int fd, std::string_view how, std::uint64_t times) {
  event::Base base;
  const auto make = [&] {
    return std::make_unique<event::Event>(base, fd, Events::read | Events::persist, [] {});
  };
  auto event = make();
  const auto look = [&] { base.loop(event::Loop::nonblock); };
  for (; times > 0; --times) {
    if (how == "change-destroy") event = make();
    event->attach();
    if (how != "change-between") look();
    if (how == "change-destroy") {
      event.reset();
    } else {
      event->detach();
    }
    look();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: events CONTENDER WORKLOAD DESCRIPTORS ACTIVE EVENTS\n", stderr);
    return 2;
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);

  const std::string_view contender = argv[1];
  const std::string_view name = argv[2];
  const Moves moves = name.starts_with("ring")   ? Moves::along_the_ring
                      : name.starts_with("echo") ? Moves::to_and_fro
                                                 : Moves::never;
  const Workload workload{moves, name.ends_with("-oneshot"), name.ends_with("-timeout")};
  const std::uint64_t events = std::strtoull(argv[5], nullptr, 10);
  std::chrono::steady_clock::time_point start;
  if (name.starts_with("change")) {
    const int silent = ::eventfd(0, EFD_NONBLOCK);
    start = std::chrono::steady_clock::now();
    run_changes(silent, name, events);
  } else {
    Ring ring(std::strtoul(argv[3], nullptr, 10), std::strtoul(argv[4], nullptr, 10), moves);
    start = std::chrono::steady_clock::now();
    if (contender == "event" || contender == "timed") {
      run_event(ring, workload, events, contender == "timed");
    } else {
      run_epoll(ring, workload, events);
    }
  }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  std::printf("%.1f ns/event\n", took.count() / static_cast<double>(events));
}
