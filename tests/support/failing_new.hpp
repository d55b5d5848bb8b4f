// Lets operator new fail when a test wants it to, and counts what it is asked for.
#pragma once

#include <cstddef>

namespace event_cpp::test {

// While it lives, operator new gives this thread `successes` more pieces of memory and then throws
// std::bad_alloc, or returns null where it must not throw. malloc() and realloc() never fail.
//
// Other threads do not notice. One at a time in a thread. Expectations that fail allocate: end its
// scope before them.
class FailingNew {
 public:
  explicit FailingNew(std::size_t successes = 0) noexcept;
  ~FailingNew();
  FailingNew(const FailingNew&) = delete;
  FailingNew& operator=(const FailingNew&) = delete;

  // False where operator new cannot be replaced: what needs it to fail, or to be counted, is to be
  // skipped there. That is the thread sanitizer of clang.
  static bool works() noexcept;

  // How often it has failed. A test that lets the first, the second, the third ... allocation of a
  // call fail is done when this stays 0.
  std::size_t failures() const noexcept;
};

// Counts the calls of operator new that this thread makes while it lives.
class CountingNew {
 public:
  CountingNew() noexcept;

  std::size_t count() const noexcept;

 private:
  std::size_t before_;
};

}  // namespace event_cpp::test
