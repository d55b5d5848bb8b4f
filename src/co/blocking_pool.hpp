// Threads for functions that block: see blocking().
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "event/co/threads.hpp"

namespace event_cpp::co::detail {

// Thread-safety: belongs to the thread of its base.
class BlockingPool {
 public:
  static constexpr std::size_t kMostThreads = 16;

  explicit BlockingPool(Base& base) noexcept;
  // Waits for the jobs that run, and drops those that have not begun.
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  // False in a process that was forked since.
  bool is_ours() const noexcept;

  // Runs the job in one of the threads, and then tells whoever waits for it.
  // Errors: throws std::bad_alloc, or std::system_error if there is no thread for it.
  void add(std::shared_ptr<Job> job);

 private:
  void start_thread();
  void serve() noexcept;
  void tell_one();

  Base& base_;
  const std::uint32_t forks_;  // of the process that has made it
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_, as are the following. Lists, so that a job moves on without an allocation.
  std::list<std::shared_ptr<Job>> jobs_;
  std::list<std::shared_ptr<Job>> done_;  // the base was not told yet
  std::size_t idle_ = 0;                  // threads that wait
  bool ends_ = false;
};

}  // namespace event_cpp::co::detail
