// Functions that one thread hands to another. Loops that bring no such queue of their own are given
// this one, with their own way to be woken.
#pragma once

#include <mutex>
#include <vector>

namespace bench {

struct Task {
  void (*function)(void*);
  void* argument;
  void operator()() const { function(argument); }
};

class TaskQueue {
 public:
  // Returns true if the queue was empty, so that the loop has to be woken.
  bool push(Task task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(task);
    return tasks_.size() == 1;
  }

  void run_all() {
    {
      const std::lock_guard lock(mutex_);
      tasks_.swap(running_);
    }
    for (const Task& task : running_) task();
    running_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<Task> tasks_;
  std::vector<Task> running_;  // of the loop's thread
};

}  // namespace bench
