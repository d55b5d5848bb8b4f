// What starting a process takes, by the memory that the parent has: this library beside
// posix_spawn(3), fork(2) and, where it is there, libuv.
//
//   bench_spawn [MiB]...        10 and 2048 if nothing is said
//
// Each starts /bin/true; its time is that of the call which starts it, in microseconds, the median
// of 200. They take turns, and in its turn each starts twice and the second time counts: after
// fork(2) the next writes of the parent are slow, and that is to be paid by who has forked. Waiting
// for the end is not measured.

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <event/net.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#if BENCH_HAVE_LIBUV
#include <uv.h>
#endif

extern char** environ;

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kProgram = "/bin/true";
constexpr int kRounds = 200;

// A way to start a process: start() is measured, finish() waits for the end.
struct Way {
  std::string name;
  std::function<void()> start;
  std::function<void()> finish;
  std::vector<double> microseconds{};

  double median() {
    std::nth_element(microseconds.begin(), microseconds.begin() + kRounds / 2, microseconds.end());
    return microseconds[kRounds / 2];
  }
};

void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

Way by_event(event::Base& base) {
  static std::unique_ptr<event::net::Process> process;
  const auto command = std::make_shared<event::net::Command>(kProgram);
  return {"event",
          [&base, command] { process = std::make_unique<event::net::Process>(base, *command); },
          [&base] {
            base.dispatch();
            process.reset();
          }};
}

Way by_posix_spawn() {
  static pid_t pid;
  static char* arguments[] = {const_cast<char*>(kProgram), nullptr};
  return {"posix_spawn",
          [] {
            if (::posix_spawn(&pid, kProgram, nullptr, nullptr, arguments, environ) != 0) {
              fail("posix_spawn");
            }
          },
          [] { ::waitpid(pid, nullptr, 0); }};
}

// As most programs do it: fork, exec, and a pipe that says whether exec has worked.
Way by_fork() {
  static pid_t pid;
  return {"fork",
          [] {
            int ends[2];
            if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
            pid = ::fork();
            if (pid == 0) {
              ::execl(kProgram, kProgram, nullptr);
              ::_exit(127);
            }
            ::close(ends[1]);
            char byte;
            if (pid < 0 || ::read(ends[0], &byte, 1) != 0) fail("fork");
            ::close(ends[0]);
          },
          [] { ::waitpid(pid, nullptr, 0); }};
}

#if BENCH_HAVE_LIBUV
Way by_libuv() {
  static uv_process_t process;
  static char* arguments[] = {const_cast<char*>(kProgram), nullptr};
  return {"libuv",
          [] {
            uv_process_options_t options{};
            options.file = kProgram;
            options.args = arguments;
            options.exit_cb = [](uv_process_t* ended, std::int64_t, int) {
              uv_close(reinterpret_cast<uv_handle_t*>(ended), nullptr);
            };
            if (uv_spawn(uv_default_loop(), &process, &options) != 0) fail("uv_spawn");
          },
          [] { uv_run(uv_default_loop(), UV_RUN_DEFAULT); }};
}
#endif

// Memory of which each page is there. Small pages: what a program has that has grown slowly.
class Resident {
 public:
  explicit Resident(std::size_t mebibytes) : size_(mebibytes << 20) {
    memory_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) fail("mmap");
    ::madvise(memory_, size_, MADV_NOHUGEPAGE);
    for (std::size_t at = 0; at < size_; at += 4096) static_cast<char*>(memory_)[at] = 1;
  }
  ~Resident() { ::munmap(memory_, size_); }
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;

 private:
  std::size_t size_;
  void* memory_;
};

void measure(std::size_t mebibytes) {
  const Resident resident(mebibytes);
  event::Base base;
  std::vector<Way> ways{by_event(base), by_posix_spawn(), by_fork()};
#if BENCH_HAVE_LIBUV
  ways.push_back(by_libuv());
#endif
  for (int round = 0; round < kRounds; ++round) {
    for (Way& way : ways) {
      way.start();
      way.finish();
      const auto begin = Clock::now();
      way.start();
      way.microseconds.push_back(
          std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
      way.finish();
    }
  }
  for (Way& way : ways) {
    std::printf("%5zu MiB  %-12s %9.0f us\n", mebibytes, way.name.c_str(), way.median());
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::size_t> sizes{10, 2048};
  if (argc > 1) sizes.clear();
  for (int i = 1; i < argc; ++i) sizes.push_back(std::stoul(argv[i]));
  for (const std::size_t size : sizes) measure(size);
}
