// A descriptor table on a kernel that is not one: what its tests share.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "support/printing.hpp"
#include "support/tiny_loop.hpp"

namespace event_cpp::test {

using Nodes = std::vector<detail::Node*>;

constexpr Events kReads = Events::read | Events::persist;
constexpr Events kWrites = Events::write | Events::persist;

class TableTest : public testing::Test {
 protected:
  detail::Node& make(int number, Events events) {
    return nodes.emplace_back(&kNoOps, nullptr, number, events, Priority::middle);
  }

  detail::Node& attached(int number, Events events) {
    detail::Node& node = make(number, events);
    EXPECT_EQ(loop.attach(node), 0);
    return node;
  }

  int open_readable() {
    const int number = backend.open();
    backend.set_ready(number, Events::read);
    return number;
  }

  // Leaves a registration behind that cannot be named: of a file that is open under another number.
  int leave_behind(Events ready) {
    const int number = backend.open();
    backend.set_ready(number, ready);
    backend.duplicate(number, 99);
    detail::Node& node = attached(number, kReads);
    backend.close(number);
    loop.release(node);
    return number;
  }

  std::deque<detail::Node> nodes;
  TinyLoop loop;
  FakePoller& backend = loop.backend;
  detail::FdTable& table = loop.table;
  const int fd = backend.open();
};

}  // namespace event_cpp::test
