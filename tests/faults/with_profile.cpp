// Runs a program as an old kernel or a sandbox would:
//   with_profile PROFILE PROGRAM [ARGUMENT]...
// The kernel then refuses the calls that the profile names, to the program and all it starts.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "support/seccomp.hpp"

namespace {

constexpr int kFailed = 126;

#ifdef SYS_epoll_pwait2
constexpr long kEpollPwait2 = SYS_epoll_pwait2;
#else
constexpr long kEpollPwait2 = 441;
#endif

bool enter(std::string_view profile) {
  using event_cpp::test::refuse_calls;
  // A kernel of before 2019.
  if (profile == "old-kernel") {
    return refuse_calls({kEpollPwait2, SYS_pidfd_open, SYS_pidfd_send_signal}, ENOSYS);
  }
  // One that has but what every program needs, and says no to the rest.
  if (profile == "sandbox") {
    return refuse_calls({kEpollPwait2, SYS_pidfd_open, SYS_timerfd_create, SYS_timerfd_settime,
                         SYS_signalfd4, SYS_ppoll},
                        EPERM);
  }
  // The same, of a system that has never heard of them.
  if (profile == "emulator") {
    return refuse_calls({kEpollPwait2, SYS_pidfd_open, SYS_timerfd_create, SYS_timerfd_settime,
                         SYS_signalfd4, SYS_ppoll},
                        ENOSYS);
  }
  // Timers that can be made and not be set.
  if (profile == "no-settime") return refuse_calls({SYS_timerfd_settime}, EPERM);
  if (profile == "no-epoll") return refuse_calls({SYS_epoll_create1}, EPERM);
  std::fprintf(stderr, "with_profile: no such profile: %s\n", profile.data());
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || !enter(argv[1])) {
    std::fprintf(stderr, "with_profile: expected PROFILE PROGRAM [ARGUMENT]...\n");
    return kFailed;
  }
  ::execvp(argv[2], argv + 2);
  std::perror(argv[2]);
  return kFailed;
}
