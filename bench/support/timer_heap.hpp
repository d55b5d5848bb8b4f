// A heap of timers with four children to a node and the deadlines in the array, by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace bench {

struct HeapTimer {
  void (*call)(HeapTimer*) = nullptr;
  std::size_t index = 0;
};

class TimerHeap {
 public:
  TimerHeap() = default;
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;
  ~TimerHeap() { std::free(nodes_); }

  bool empty() const { return size_ == 0; }
  std::int64_t first() const { return nodes_[0].deadline; }

  void push(HeapTimer& timer, std::int64_t deadline) {
    if (size_ == capacity_) grow();
    sift_up(size_++, {deadline, &timer});
  }

  void remove(HeapTimer& timer) {
    const std::size_t index = timer.index;
    const Node last = nodes_[--size_];
    if (index == size_) return;
    if (index > 0 && last.deadline < nodes_[(index - 1) / 4].deadline) {
      sift_up(index, last);
    } else {
      sift_down(index, last);
    }
  }

  // Requires: the deadline is not before the one that the timer has.
  void postpone(HeapTimer& timer, std::int64_t deadline) {
    sift_down(timer.index, {deadline, &timer});
  }

  HeapTimer* pop() {
    HeapTimer* const timer = nodes_[0].timer;
    if (--size_ > 0) sift_down(0, nodes_[size_]);
    return timer;
  }

 private:
  struct Node {
    std::int64_t deadline;
    HeapTimer* timer;
  };

  void grow() {
    capacity_ = capacity_ == 0 ? 64 : 2 * capacity_;
    void* const grown = std::realloc(static_cast<void*>(nodes_), capacity_ * sizeof(Node));
    if (grown == nullptr) throw std::bad_alloc();
    nodes_ = static_cast<Node*>(grown);
  }

  void put(std::size_t index, const Node& node) {
    nodes_[index] = node;
    node.timer->index = index;
  }

  void sift_up(std::size_t index, const Node& node) {
    while (index > 0) {
      const std::size_t parent = (index - 1) / 4;
      if (nodes_[parent].deadline <= node.deadline) break;
      put(index, nodes_[parent]);
      index = parent;
    }
    put(index, node);
  }

  void sift_down(std::size_t index, const Node& node) {
    for (;;) {
      const std::size_t child = 4 * index + 1;
      if (child >= size_) break;
      const std::size_t end = child + 4 < size_ ? child + 4 : size_;
      std::size_t least = child;
      for (std::size_t other = child + 1; other < end; ++other) {
        if (nodes_[other].deadline < nodes_[least].deadline) least = other;
      }
      if (nodes_[least].deadline >= node.deadline) break;
      put(index, nodes_[least]);
      index = least;
    }
    put(index, node);
  }

  Node* nodes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace bench
