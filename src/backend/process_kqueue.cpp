#include <sys/event.h>

#include <cerrno>

#include "backend/kernel_queue.hpp"
#include "backend/process.hpp"

namespace event_cpp::detail {

// Where a process that has ended already cannot be watched, this is ESRCH.
int open_process(pid_t pid, UniqueFd& fd) noexcept {
  UniqueFd queue;
  if (const int error = open_kqueue(queue); error != 0) return error;
  const struct kevent exits = make_change(static_cast<int>(pid), EVFILT_PROC, EV_ADD, NOTE_EXIT);
  if (tell_kqueue(queue.get(), &exits, 1, nullptr, 0) < 0) return errno;
  fd = std::move(queue);
  return 0;
}

int signal_process(int, int) noexcept { return ENOSYS; }

}  // namespace event_cpp::detail
