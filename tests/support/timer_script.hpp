// A random life of a timer queue, compared with what it should hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "loop/timer_queue.hpp"
#include "support/seeded_random.hpp"

namespace event_cpp::test {

// The model: deadlines, in the order in which they were set. They are multiples of `grid`: the
// larger that is, the more are equal.
class TimerScript {
 public:
  TimerScript(Random& random, std::size_t nodes, Duration::rep grid);

  // Sets, moves or removes one, or takes what is due.
  void step();
  void expect_agreement() const;
  void take_all();

 private:
  using Key = std::pair<TimePoint, std::uint64_t>;

  void note(detail::Node& node, TimePoint deadline);
  void forget(detail::Node& node);
  void set(detail::Node& node, TimePoint deadline);
  void remove(detail::Node& node);
  void take_due();
  Duration up_to(std::size_t end);
  TimePoint on_grid(TimePoint at) const;

  Random& random_;
  Duration::rep grid_;
  std::deque<detail::Node> nodes_;
  std::vector<int> fds_;
  detail::TimerQueue queue_;
  TimePoint now_{};
  std::uint64_t sequence_ = 0;
  std::map<const detail::Node*, Key> keys_;
  std::map<Key, detail::Node*> order_;
};

}  // namespace event_cpp::test
