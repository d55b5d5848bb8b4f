// A random life of files, numbers and events on them, and what must be true of it at any time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "support/seeded_random.hpp"
#include "support/tiny_loop.hpp"

namespace event_cpp::test {

class FdScript {
 public:
  // `keeps`: the kernel keeps a registration that nobody wants until it reports something.
  FdScript(Random& random, bool keeps);

  // Does something at random, and checks what it can.
  void step();

  // Expects that the kernel, when nothing more happens, soon reports nothing but what is wanted,
  // and that it was told all of that.
  void expect_calm();

  std::size_t rebuilds() const { return loop_.backend.rebuilds; }

 private:
  using File = FakePoller::File;

  struct Watch {
    detail::Node node;
    File file = 0;                  // that it was attached to
    bool stayed = false;            // its number has stood for that file ever since
    std::uint64_t attached_at = 0;  // tells the order
  };

  int any_number();
  Events any_conditions();
  Events any_mask();
  bool any_exclusive() const;
  void happen_rarely();
  void fork();
  void open_or_close(int number);
  void duplicate(int from, int to);
  void leave(int number);
  void let_go(int number);
  void attach(Watch& watch);
  void try_to_attach(Watch& watch);
  void modify(Watch& watch);
  void iterate();
  void expect_sense(const TinyLoop::Reported& reported);
  void expect_told(int number);
  bool is_due(const Watch& watch);
  static Watch& watch_of(detail::Node& node);

  Random& random_;
  TinyLoop loop_;
  std::deque<Watch> watches_;
  std::uint64_t clock_ = 0;
  std::size_t unwanted_ = 0;  // reports of the last iteration that nobody wanted
};

}  // namespace event_cpp::test
