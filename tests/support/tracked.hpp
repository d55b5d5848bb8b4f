// An object that notices when its bytes are copied, or when it is destroyed twice or never.
#pragma once

#include <gtest/gtest.h>

namespace event_cpp::test {

// Two pointers in size. `alive` counts the objects there are.
struct Tracked {
  explicit Tracked(int& count) noexcept : alive(&count), self(this) { ++*alive; }
  Tracked(const Tracked& other) noexcept : alive(other.alive), self(this) { ++*alive; }
  Tracked(Tracked&& other) noexcept : alive(other.alive), self(this) { ++*alive; }
  ~Tracked() {
    EXPECT_EQ(self, this) << "its bytes were copied";
    self = nullptr;
    --*alive;
  }
  Tracked& operator=(const Tracked&) = delete;
  Tracked& operator=(Tracked&&) = delete;

  void operator()() const { EXPECT_EQ(self, this) << "its bytes were copied"; }

  int* alive;
  Tracked* self;
};

}  // namespace event_cpp::test
