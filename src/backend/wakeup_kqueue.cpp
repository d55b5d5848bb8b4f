#include <sys/event.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "backend/kernel_queue.hpp"
#include "backend/wakeup.hpp"

namespace event_cpp::detail {
namespace {

// The only knote of the queue.
struct kevent knote(unsigned flags, unsigned fflags = 0) noexcept {
  return make_change(0, EVFILT_USER, flags, fflags);
}

}  // namespace

Wakeup::Wakeup() {
  if (const int error = reopen(); error != 0) {
    throw std::system_error(error, std::system_category(), "kqueue");
  }
}

Wakeup::~Wakeup() { close_kqueue(reader_, forks_); }

int Wakeup::reopen() noexcept {
  if (const int error = reopen_kqueue(reader_, forks_); error != 0) return error;
  const struct kevent added = knote(EV_ADD | EV_CLEAR);
  return tell_kqueue(reader_.get(), &added, 1, nullptr, 0) < 0 ? errno : 0;
}

// A knote that waits to be taken is not queued again, and a watch for edges would see nothing: it
// is taken first. Making it anew would do that in one call, but could find no memory.
void Wakeup::wake() const noexcept {
  if (forks_ != fork_count()) return;
  const int saved = errno;
  drain();
  const struct kevent trigger = knote(0, NOTE_TRIGGER);
  static_cast<void>(tell_kqueue(reader_.get(), &trigger, 1, nullptr, 0));
  errno = saved;
}

void Wakeup::drain() const noexcept {
  struct kevent taken;
  static_cast<void>(tell_kqueue(reader_.get(), nullptr, 0, &taken, 1));
}

}  // namespace event_cpp::detail
