#include "backend/fork_count.hpp"

#include <pthread.h>

#include <new>

namespace event::detail {

std::uint32_t forks_so_far = 0;

void count_forks() {
  static const int error = ::pthread_atfork(nullptr, nullptr, [] { ++forks_so_far; });
  if (error != 0) throw std::bad_alloc();
}

}  // namespace event::detail
