#include "sys/fork_count.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace event_cpp::detail {
namespace {

using Number = std::atomic<std::uint32_t>;

Number unwiped_number{1};             // used until there is memory that a fork wipes
Number last_number{1};                // this process's, or its parent's
std::atomic<pid_t> numbered_process;  // that count_forks() or number_process() last ran in

// Has the kernel set a page to zero in the child of a fork. Returns false if it cannot.
bool wipe_on_fork([[maybe_unused]] void* page, [[maybe_unused]] std::size_t size) noexcept {
#if defined(MADV_WIPEONFORK)
  // qemu-user takes any advice and follows none, also one that there is not.
  constexpr int kNoAdvice = -1;
  return ::madvise(page, size, kNoAdvice) != 0 && ::madvise(page, size, MADV_WIPEONFORK) == 0;
#elif defined(INHERIT_ZERO)
  return ::minherit(page, size, INHERIT_ZERO) == 0;
#else
  return false;
#endif
}

// Returns null if there is no such memory.
Number* make_wiped_number() noexcept {
  const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const page =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return nullptr;
  if (wipe_on_fork(page, size)) return ::new (page) Number(last_number.load());
  ::munmap(page, size);
  return nullptr;
}

void forget_number() noexcept { process_number.load()->store(0); }

void watch_forks() {
  numbered_process.store(::getpid());
  if (Number* const wiped = make_wiped_number(); wiped != nullptr) {
    process_number.store(wiped);
  } else if (::pthread_atfork(nullptr, nullptr, &forget_number) != 0) {
    throw std::bad_alloc();
  }
}

}  // namespace

std::atomic<Number*> process_number{&unwiped_number};

// Several threads of a child may be here at once: the first one chooses.
std::uint32_t number_process() noexcept {
  const std::uint32_t fresh = last_number.load() + 1;
  std::uint32_t chosen = 0;
  if (!process_number.load()->compare_exchange_strong(chosen, fresh)) return chosen;
  last_number.store(fresh);
  numbered_process.store(::getpid());
  return fresh;
}

std::uint32_t exported_fork_count() noexcept { return fork_count(); }

void count_forks() {
  // A variable whose initialization throws is initialized by the next call.
  [[maybe_unused]] static const bool counted = (watch_forks(), true);
}

void notice_fork() noexcept {
  const bool is_wiped = process_number.load() != &unwiped_number;
  if (!is_wiped && numbered_process.load() != ::getpid()) forget_number();
}

}  // namespace event_cpp::detail
