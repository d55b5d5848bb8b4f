// ChildProcess: runs a program as a user would, and looks at what it says and uses.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "support/sanitizers.hpp"
#include "support/uninterrupted.hpp"

namespace examples_test {

using event_cpp::detail::UniqueFd;
using event_cpp::test::uninterrupted;

// How long anything may take that should take no time: for machines that are busy with other work,
// and for sanitizers. Nothing waits so long unless it is broken.
inline constexpr std::chrono::seconds kPatience{30};

// The thread sanitizer puts a handler off until its thread makes a call that the sanitizer knows.
// Programs that another process signals have slept on there, now and then, on a busy machine.
inline constexpr bool kDeaf = EVENT_HAS_TSAN;
inline constexpr const char* kWhyDeaf = "the thread sanitizer puts off the handlers of signals";

[[noreturn]] inline void throw_errno(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

// A program with its standard output and error on pipes. Killed when this is destroyed.
class ChildProcess {
 public:
  struct Options {
    std::map<std::string, std::string> environment{};  // added to this process's own
    std::optional<rlim_t> max_descriptors{};           // RLIMIT_NOFILE
    void (*before_exec)() = nullptr;                   // runs in the child
  };

  // `command` is the path of the program, or a name to look up in PATH, and its arguments.
  explicit ChildProcess(const std::vector<std::string>& command) : ChildProcess(command, {}) {}
  ChildProcess(const std::vector<std::string>& command, const Options& options) {
    Pipe output;
    Pipe errors;
    pid_ = ::fork();
    if (pid_ < 0) throw_errno("fork");
    if (pid_ == 0) become(command, options, output.write_end.get(), errors.write_end.get());
    output_.pipe = std::move(output.read_end);
    errors_.pipe = std::move(errors.read_end);
  }
  ~ChildProcess() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The next line of its output, without the line end; nothing if it ends or takes too long.
  std::optional<std::string> read_line() {
    const auto has_line = [this] { return output_.text.find('\n') != std::string::npos; };
    if (!read_until(has_line)) return std::nullopt;
    const std::size_t end = output_.text.find('\n');
    std::string line = output_.text.substr(0, end);
    output_.text.erase(0, end + 1);
    return line;
  }

  // Its output that read_line() has not returned.
  const std::string& output() const { return output_.text; }

  // What it has said on standard error by now.
  const std::string& errors() {
    read_available(std::chrono::milliseconds(0));
    return errors_.text;
  }

  // Waits until it says `text` on standard error; false if it does not.
  bool wait_for_error(const std::string& text) {
    return read_until([&] { return errors_.text.find(text) != std::string::npos; });
  }

  pid_t pid() const noexcept { return pid_; }

  void signal(int number) const { ::kill(pid_, number); }

  // Waits until it ends; returns its exit status, or nothing if it died of a signal or takes too
  // long. All of output() and errors() is there then.
  std::optional<int> wait() {
    if (!read_until([this] { return !output_.pipe && !errors_.pipe; })) return std::nullopt;
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? std::optional(WEXITSTATUS(status)) : std::nullopt;
  }

  // Memory that it shares with nobody, in KiB.
  std::size_t private_memory() const {
    std::ifstream status(proc("status"));
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("RssAnon:", 0) == 0) return std::stoul(line.substr(8));
    }
    throw std::runtime_error("no RssAnon in " + proc("status"));
  }

  // CPU time it has used, in user and kernel mode.
  std::chrono::milliseconds cpu_time() const {
    std::ifstream stat(proc("stat"));
    std::string line;
    std::getline(stat, line);
    // The name, in brackets, may hold anything; fields 14 and 15 are the times.
    std::istringstream fields(line.substr(line.rfind(')') + 1));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    long user = 0;
    long kernel = 0;
    fields >> user >> kernel;
    return std::chrono::milliseconds((user + kernel) * 1000 / ::sysconf(_SC_CLK_TCK));
  }

 private:
  struct Pipe {
    Pipe() {
      std::array<int, 2> ends{};
      if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
      read_end = UniqueFd(ends[0]);
      write_end = UniqueFd(ends[1]);
    }
    UniqueFd read_end;
    UniqueFd write_end;
  };

  // What has been read from a pipe, which is closed at its end.
  struct Stream {
    UniqueFd pipe{};
    std::string text{};

    void read_some() {
      std::array<char, 4096> buffer;
      const ssize_t n =
          uninterrupted([&] { return ::read(pipe.get(), buffer.data(), buffer.size()); });
      if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
      if (n == 0) pipe = UniqueFd();
    }
  };

  [[noreturn]] static void become(const std::vector<std::string>& command, const Options& options,
                                  int output, int errors) {
    std::vector<char*> arguments;
    for (const std::string& argument : command) {
      arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    for (const auto& [name, value] : options.environment) {
      ::setenv(name.c_str(), value.c_str(), 1);
    }
    ::dup2(output, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    if (options.max_descriptors) {
      const rlimit limit{*options.max_descriptors, *options.max_descriptors};
      if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::_exit(126);
    }
    if (options.before_exec != nullptr) options.before_exec();
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }

  std::string proc(const char* file) const { return "/proc/" + std::to_string(pid_) + "/" + file; }

  // Reads both pipes until `done()`; false if the program ends before that or takes too long. A
  // machine may let neither of the two processes run for half a minute, and then nothing is wrong:
  // of each look no more is counted than it was to wait.
  template <class Done>
  bool read_until(Done done) {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::milliseconds kLook{100};
    Clock::duration waited{};
    for (auto since = Clock::now(); !done();) {
      if ((!output_.pipe && !errors_.pipe) || waited > kPatience) return false;
      read_available(kLook);
      const auto now = Clock::now();
      waited += std::min<Clock::duration>(now - since, kLook);
      since = now;
    }
    return true;
  }

  void read_available(std::chrono::milliseconds wait) {
    std::array<pollfd, 2> pipes{pollfd{output_.pipe.get(), POLLIN, 0},
                                pollfd{errors_.pipe.get(), POLLIN, 0}};
    if (uninterrupted([&] {
          return ::poll(pipes.data(), pipes.size(), static_cast<int>(wait.count()));
        }) <= 0)
      return;
    if (pipes[0].revents != 0) output_.read_some();
    if (pipes[1].revents != 0) errors_.read_some();
  }

  pid_t pid_ = -1;
  Stream output_;
  Stream errors_;
};

}  // namespace examples_test
