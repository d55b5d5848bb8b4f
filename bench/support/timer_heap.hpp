// A heap of timers with four children to a node and the deadlines in the array, by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace bench {

struct HeapTimer {
  void (*call)(HeapTimer*) = nullptr;
  std::size_t place = 0;
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
    rise(size_++, {deadline, &timer});
  }

  void remove(HeapTimer& timer) {
    const std::size_t place = timer.place;
    const Node last = nodes_[--size_];
    if (place == size_) return;
    if (place > 0 && last.deadline < nodes_[(place - 1) / 4].deadline) {
      rise(place, last);
    } else {
      sink(place, last);
    }
  }

  // Requires: the deadline is not before the one that the timer has.
  void postpone(HeapTimer& timer, std::int64_t deadline) { sink(timer.place, {deadline, &timer}); }

  HeapTimer* pop() {
    HeapTimer* const timer = nodes_[0].timer;
    if (--size_ > 0) sink(0, nodes_[size_]);
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

  void put(std::size_t place, const Node& node) {
    nodes_[place] = node;
    node.timer->place = place;
  }

  void rise(std::size_t place, const Node& node) {
    while (place > 0) {
      const std::size_t parent = (place - 1) / 4;
      if (nodes_[parent].deadline <= node.deadline) break;
      put(place, nodes_[parent]);
      place = parent;
    }
    put(place, node);
  }

  void sink(std::size_t place, const Node& node) {
    for (;;) {
      const std::size_t child = 4 * place + 1;
      if (child >= size_) break;
      const std::size_t end = child + 4 < size_ ? child + 4 : size_;
      std::size_t least = child;
      for (std::size_t other = child + 1; other < end; ++other) {
        if (nodes_[other].deadline < nodes_[least].deadline) least = other;
      }
      if (nodes_[least].deadline >= node.deadline) break;
      put(place, nodes_[least]);
      place = least;
    }
    put(place, node);
  }

  Node* nodes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace bench
