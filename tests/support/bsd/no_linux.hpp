// Put before a source, makes it see as much of Linux as a BSD would: what only Linux has, or what
// some system lacks that kqueue is for, is not there, or not to be named.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

// What BSDs have and Linux has not.
extern "C" int issetugid();

#undef __linux__
#undef CLOCK_BOOTTIME
#undef CLOCK_MONOTONIC_RAW
#undef F_SETSIG
#undef MSG_NOSIGNAL
#undef O_PATH
#undef O_TMPFILE
#undef POLLRDHUP
#undef SIGRTMAX
#undef SIGRTMIN
#undef SOCK_CLOEXEC
#undef SOCK_NONBLOCK

#pragma GCC poison accept4 dup3 pipe2 ppoll sigwaitinfo syscall prctl
#pragma GCC poison pthread_setname_np
#pragma GCC poison epoll_create1 epoll_ctl epoll_wait eventfd signalfd timerfd_create
#if !EVENT_HAVE_SIGTIMEDWAIT
#pragma GCC poison sigtimedwait
#endif
