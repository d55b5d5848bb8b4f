// What a loop does with its descriptor table, and nothing else, on a kernel that is not one.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "loop/fd_table.hpp"
#include "support/fake_poller.hpp"

namespace event_cpp::test {

// Of nodes that nobody calls.
inline constexpr detail::NodeOps kNoOps{nullptr, nullptr, detail::NodeKind::event, nullptr};

class TinyLoop {
 public:
  struct Activation {
    detail::Node* node;
    Events what;
  };
  // One report of the kernel's, and what came of it.
  struct Reported {
    FakePoller::Report report;
    std::vector<Activation> activations;
  };

  // Returns 0 or an errno.
  int attach(detail::Node& node);

  // Stops watching, as detach() does by hand.
  void detach(detail::Node& node);

  // Lets go of the node, as its destruction or assign() does.
  void release(detail::Node& node);

  // One iteration: tells the kernel what has changed, looks at what is ready, and then fires it.
  std::vector<Reported> iterate();

  // The nodes that one iteration fires, in order.
  std::vector<detail::Node*> fired();

  // The calls of the kernel that `what` makes.
  std::size_t updates_of(const std::function<void()>& what);

  FakePoller backend;
  detail::PollerAndFiles kernel{backend};
  detail::ReadyBatch batch{0};
  detail::FdTable table{kernel, batch};
  int flush_error = 0;  // of the last iteration

 private:
  void end_watch(detail::Node& node);
};

}  // namespace event_cpp::test
