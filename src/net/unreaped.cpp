#include "net/unreaped.hpp"

#include <sys/wait.h>

#include <cerrno>
#include <mutex>

#include "base/no_cancellation.hpp"

namespace event_cpp::net::detail {
namespace {

struct Pids {
  std::mutex mutex;
  std::list<pid_t> pids;  // guarded by mutex
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

Unreaped::Place Unreaped::make_place() {
  static_cast<void>(all());  // made by the first one
  return Place(1);
}

void Unreaped::add(pid_t pid, Place& place) noexcept {
  if (is_gone(pid)) return;
  place.front() = pid;
  const std::lock_guard lock(all().mutex);
  all().pids.splice(all().pids.end(), place);
}

void Unreaped::look() noexcept {
  const std::lock_guard lock(all().mutex);
  all().pids.remove_if(is_gone);
}

}  // namespace event_cpp::net::detail
