// A random life of the active queues, compared with what should be in them.
#pragma once

#include <array>
#include <cstddef>
#include <deque>

#include "loop/active_queue.hpp"
#include "support/seeded_random.hpp"

namespace event_cpp::test {

// Three queues that share their nodes, as those of a loop do.
class ActiveScript {
 public:
  ActiveScript(Random& random, std::size_t nodes);

  // Pushes, removes or pops something, or begins at the front again.
  void step();
  void expect_as_models();
  void pop_everything();

 private:
  void push(std::size_t q, detail::Node& node);
  void push_posted(std::size_t q, std::size_t count);
  void remove(detail::Node& node);
  void pop(std::size_t q, std::size_t count);
  void expect_each(std::size_t q);

  Random& random_;
  std::deque<detail::Node> nodes_;
  std::array<detail::ActiveQueue, 3> queues_;
  std::array<std::deque<detail::Node*>, 3> models_;
};

}  // namespace event_cpp::test
