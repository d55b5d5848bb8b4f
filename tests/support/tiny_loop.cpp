// The same calls in the same order as the loop's own.
#include "support/tiny_loop.hpp"

namespace event_cpp::test {

using detail::Node;

int TinyLoop::attach(Node& node) {
  const int error = table.add(node);
  if (error == 0) node.attached = true;
  return error;
}

void TinyLoop::end_watch(Node& node) {
  node.attached = false;
  if (node.stale) table.detached(node);
}

void TinyLoop::detach(Node& node) {
  if (node.attached) end_watch(node);
  if (node.linked) table.detached(node);
}

void TinyLoop::release(Node& node) {
  if (node.attached) end_watch(node);
  if (node.linked) table.forget(node);
}

std::vector<TinyLoop::Reported> TinyLoop::iterate() {
  flush_error = table.flush();
  std::vector<Reported> result;
  for (const FakePoller::Report& report : backend.reports()) {
    result.push_back({report, {}});
    table.report(report.ready, [&result](Node& node, Events what) {
      result.back().activations.push_back({&node, what});
    });
  }
  for (const Reported& reported : result) {
    for (const Activation& activation : reported.activations) {
      Node& node = *activation.node;
      if (node.attached && !any(node.events & Events::persist)) end_watch(node);
    }
  }
  return result;
}

std::vector<Node*> TinyLoop::fired() {
  std::vector<Node*> nodes;
  for (const Reported& reported : iterate()) {
    for (const Activation& activation : reported.activations) nodes.push_back(activation.node);
  }
  return nodes;
}

std::size_t TinyLoop::updates_of(const std::function<void()>& what) {
  const std::size_t before = backend.updates;
  what();
  return backend.updates - before;
}

}  // namespace event_cpp::test
