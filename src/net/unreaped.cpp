#include "net/unreaped.hpp"

#include <sys/wait.h>

#include <cerrno>
#include <mutex>
#include <new>
#include <vector>

#include "base/no_cancellation.hpp"

namespace event_cpp::net::detail {
namespace {

struct Pids {
  std::mutex mutex;
  std::vector<pid_t> pids;  // guarded by mutex
};

// Never destroyed: threads may outlive the end of main().
Pids& all() {
  static auto& pids = *new Pids;
  return pids;
}

// Or it is no child of this process: it was forked since, or other code has reaped the child.
bool is_gone(pid_t pid) noexcept {
  const event_cpp::detail::NoCancellation whole;
  pid_t reaped = 0;
  do {
    reaped = ::waitpid(pid, nullptr, WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  return reaped != 0;
}

}  // namespace

void Unreaped::add(pid_t pid) noexcept {
  if (is_gone(pid)) return;
  try {
    const std::lock_guard lock(all().mutex);
    all().pids.push_back(pid);
  } catch (const std::bad_alloc&) {
    return;
  }
}

void Unreaped::look() noexcept {
  try {
    const std::lock_guard lock(all().mutex);
    std::erase_if(all().pids, is_gone);
  } catch (const std::bad_alloc&) {
    return;
  }
}

}  // namespace event_cpp::net::detail
