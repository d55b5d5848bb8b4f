#include "event/child.hpp"

#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "backend/fork_count.hpp"
#include "backend/process.hpp"
#include "backend/shortage.hpp"
#include "core/text.hpp"
#include "event/error.hpp"

namespace event_cpp {
namespace {

std::error_code last_error() noexcept { return {errno, std::system_category()}; }

// Whether the process is a child of this one that nobody has reaped; `ended` if it could be.
std::error_code look_at_child(pid_t pid, bool& ended) noexcept {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
    if (errno != EINTR) return last_error();
  }
  ended = info.si_pid == pid;
  return {};
}

}  // namespace

void Child::attach() & {
  if (const std::error_code error = try_attach()) {
    throw std::system_error(error, "event::Child::attach: process " + detail::to_text(pid_));
  }
}

std::error_code Child::try_attach() & noexcept {
  if (attached()) return Errc::already_attached;
  if (pid_ <= 0) return {EINVAL, std::system_category()};
  bool ended = false;
  if (const std::error_code error = look_at_child(pid_, ended)) return error;

  detail::UniqueFd process;
  const int no_process = detail::open_process(pid_, process);
  if (detail::is_shortage(no_process)) return {no_process, std::system_category()};
  if (no_process == 0) {
    watch(process.get(), Events::read | Events::persist);
  } else {
    watch(SIGCHLD, Events::signal | Events::persist);
  }
  if (const std::error_code error = Event::try_attach()) {
    watch(-1, Events::none);
    return error;
  }
  if (no_process == 0) {
    static_cast<void>(process.release());  // it is this event's now
    forks_ = detail::fork_count();
  } else if (look_at_child(pid_, ended) || ended) {
    activate(Events::signal);  // it went before the signal was watched
  }
  return {};
}

bool Child::detach() noexcept {
  const bool was_attached = attached();
  let_go();
  return was_attached;
}

void Child::watch(int fd, Events events) noexcept {
  node().descriptor = fd;
  node().events = events;
}

void Child::let_go() noexcept {
  detail::UniqueFd process(any(events() & Events::read) ? fd() : -1);
  const bool is_ours = detail::kProcessesAreInherited || forks_ == detail::fork_count();
  if (!is_ours) static_cast<void>(process.release());
  if (node().in_use()) release();
  watch(-1, Events::none);
}

// False: it was another child that has ended.
bool Child::reap(int& status) noexcept {
  pid_t reaped = 0;
  do {
    reaped = ::waitpid(pid_, &status, WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  if (reaped == 0) return false;
  if (reaped != pid_) status = -1;
  let_go();
  return true;
}

}  // namespace event_cpp
