#include "backend/fork_count.hpp"

#include <pthread.h>

#include <new>

namespace event_cpp::detail {

std::uint32_t forks_so_far = 0;

void count_forks() {
  // A variable whose initialization throws is initialized by the next call.
  [[maybe_unused]] static const bool counted = [] {
    if (::pthread_atfork(nullptr, nullptr, [] { ++forks_so_far; }) != 0) throw std::bad_alloc();
    return true;
  }();
}

}  // namespace event_cpp::detail
