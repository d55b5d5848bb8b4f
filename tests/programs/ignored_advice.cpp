// A fork is noticed where madvise(2) takes any advice and follows none, as in programs that
// qemu-user runs: the library must not rely on memory that a fork wipes.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event/event.hpp>

extern "C" int madvise(void* /*address*/, std::size_t /*size*/, int /*advice*/) noexcept {
  return 0;
}

namespace {

// After after_fork() a child that modifies an event leaves that of its parent alone.
bool works_after_fork(event::Base& base, int reader, int writer) {
  int reads = 0;
  event::Event event(base, reader, event::Events::read, [&reads] { ++reads; });
  event.attach();
  const pid_t child = ::fork();
  if (child == 0) {
    base.after_fork();
    event.modify(event::Events::closed);
    base.loop(event::RunMode::nonblock);
    ::_exit(0);
  }
  int status = -1;
  if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) return false;
  if (::write(writer, "x", 1) != 1) return false;
  base.loop(event::RunMode::nonblock);
  return reads == 1;
}

}  // namespace

int main() {
  int pipe[2];
  if (::pipe(pipe) != 0) return 2;
  for (const event::Backend backend : event::Base::backends()) {
    event::Options options;
    options.backend = backend;
    event::Base base(options);
    if (!works_after_fork(base, pipe[0], pipe[1])) return 1;
    char byte = 0;
    if (::read(pipe[0], &byte, 1) != 1) return 2;
  }
  return 0;
}
