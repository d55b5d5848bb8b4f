// Which thread runs a loop.
#pragma once

#include <cassert>
#include <thread>

namespace event_cpp::detail {

// A base and its events belong to the thread that runs it, while one does. Debug builds check that.
class LoopThread {
 public:
  bool running() const noexcept { return running_; }
  void begin() noexcept {
    running_ = true;
    thread_ = std::this_thread::get_id();
  }
  void end() noexcept { running_ = false; }

  // For good: it counts as running, so that nobody can run it.
  void close() noexcept {
    begin();
    closing_ = true;
  }
  bool closing() const noexcept { return closing_; }

  // In the child of a fork: whoever ran the loop, if not this thread, does not exist here.
  void after_fork() noexcept {
    if (!is_this()) end();
  }

  void assert_here() const noexcept {
    assert((!running_ || is_this()) && "a base and its events belong to the thread that runs it");
  }

 private:
  bool is_this() const noexcept { return thread_ == std::this_thread::get_id(); }

  bool running_ = false;
  bool closing_ = false;
  std::thread::id thread_;
};

}  // namespace event_cpp::detail
