// What tests of children share: processes that end when they are told to.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/every_backend.hpp"
#include "support/forked.hpp"
#include "support/seccomp.hpp"
#include "support/signals.hpp"
#include "support/uninterrupted.hpp"

namespace event_cpp::test {

// A wait status such that it can be read.
inline std::string told(int status) {
  if (status == -1) return "unknown";
  if (WIFEXITED(status)) return "exited " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return "killed " + std::to_string(WTERMSIG(status));
  if (WIFSTOPPED(status)) return "stopped " + std::to_string(WSTOPSIG(status));
  if (WIFCONTINUED(status)) return "continued";
  return "nonsense";
}

// A child process that waits until it is told to end, and ends with `status`.
class Process {
 public:
  explicit Process(int status = 0) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    reader_ = Fd(ends[0]);
    writer_ = Fd(ends[1]);
    pid_ = ::fork();
    if (pid_ != 0) return;
    writer_.close();
    char byte;
    static_cast<void>(uninterrupted([&] { return ::read(reader_.get(), &byte, 1); }));
    ::_exit(status);
  }
  ~Process() {
    if (!reapable()) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }

  void end() const { write_bytes(writer_); }
  void kill(int signo) const { ::kill(pid_, signo); }

  // Has it ended, and lets nobody know.
  void await_end() const {
    siginfo_t info{};
    static_cast<void>(uninterrupted(
        [&] { return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT); }));
  }
  void end_now() const {
    end();
    await_end();
  }

  // Still a child of this process, running or not.
  bool reapable() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
  }
  std::string reap() const {
    int status = 0;
    return ::waitpid(pid_, &status, 0) == pid_ ? told(status) : "no child";
  }

 private:
  pid_t pid_;
  Fd reader_;
  Fd writer_;
};

// While it lives, this process gets no descriptor that it has not got yet.
class NoDescriptorLeft {
 public:
  NoDescriptorLeft() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none = before_;
    none.rlim_cur = 0;
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptorLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptorLeft(const NoDescriptorLeft&) = delete;
  NoDescriptorLeft& operator=(const NoDescriptorLeft&) = delete;

 private:
  rlimit before_{};
};

// A handler that lets the system calls it interrupts go on.
inline struct sigaction restarting(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  return action;
}

#if defined(SYS_pidfd_open)
inline constexpr long kOpenProcess = SYS_pidfd_open;
#else
inline constexpr long kOpenProcess = -1;
#endif

// On every backend; and as the kernel is, or where it refuses descriptors of processes with an
// error, so that SIGCHLD has to tell.
class Children : public testing::TestWithParam<std::tuple<Backend, int>> {
 protected:
  static Backend backend() { return std::get<0>(GetParam()); }
  static int refusal() { return std::get<1>(GetParam()); }

  static Options options() {
    Options chosen;
    chosen.backend = backend();
    return chosen;
  }

  void SetUp() override {
    if (refusal() == 0) return;
    if (kOpenProcess < 0 || !can_refuse_calls()) {
      GTEST_SKIP() << "nothing can be refused here";
    }
  }

  // Runs a test where it is to hold.
  template <class Part>
  static void expect(Part&& part) {
    if (refusal() == 0) return part();
    EXPECT_TRUE(succeeds_in_child([&] {
      ASSERT_TRUE(refuse_calls({kOpenProcess}, refusal()));
      part();
    }));
  }

  // Whether a child, or SIGCHLD where it is blocked, is told of by a descriptor.
  static bool needs_descriptor() { return EVENT_HAVE_EPOLL || backend() == Backend::kqueue; }

  // Whether the library can do without SIGCHLD here.
  static bool by_descriptor() {
    if (refusal() != 0) return false;
    if (!needs_descriptor()) return false;
    if (kOpenProcess < 0) return true;  // EVFILT_PROC; the model of it has a descriptor
    const Fd self(static_cast<int>(::syscall(kOpenProcess, ::getpid(), 0)));
    return self.open();
  }

  using Told = std::vector<std::string>;
  static auto note(Told& statuses) {
    return [&statuses](int status) { statuses.push_back(told(status)); };
  }
};

}  // namespace event_cpp::test

#define WITH_AND_WITHOUT_PROCESS_FDS(Suite)                                                        \
  INSTANTIATE_TEST_SUITE_P(                                                                        \
      , Suite,                                                                                     \
      testing::Combine(testing::ValuesIn(usable_backends()), testing::Values(0, ENOSYS, EPERM)),   \
      [](const auto& chosen) {                                                                     \
        const int refusal = std::get<1>(chosen.param);                                             \
        return to_string(std::get<0>(chosen.param)) + (refusal == 0        ? ""                    \
                                                       : refusal == ENOSYS ? "_refused_by_ENOSYS"  \
                                                                           : "_refused_by_EPERM"); \
      })
