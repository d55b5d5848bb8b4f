// Command: the program, arguments, environment and fds of a child process.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "event/detail/export.hpp"

namespace event_cpp::net {

// What a child gets as stdin, stdout or stderr.
class EVENT_API Stdio {
 public:
  enum class Kind : std::uint8_t { unset, inherit, null, pipe, file, descriptor, out };

  // The default: with Process as inherit(), or the terminal if the command has one; with run() a
  // pipe, or /dev/null as stdin without input.
  Stdio() = default;
  // The stream of this process, for example its terminal.
  static Stdio inherit() { return Stdio(Kind::inherit); }
  // /dev/null: reading gives end-of-file, what is written is dropped.
  static Stdio null() { return Stdio(Kind::null); }
  // A pipe, whose other end this process has: see Process::in(), out() and err().
  static Stdio pipe() { return Stdio(Kind::pipe); }
  // A file. As stdin it is opened for reading; as stdout or stderr it is created (mode 0666 less
  // the umask) and truncated, or with append() appended to. This process opens it before it starts
  // the child; a relative path is relative to this process's directory. Opening never blocks: a
  // FIFO for writing that nobody has open for reading fails with ENXIO.
  static Stdio file(std::string path) { return Stdio(Kind::file, std::move(path)); }
  static Stdio append(std::string path);
  // A duplicate of an fd of this process, which stays the caller's. Use a blocking one: few
  // programs expect a non-blocking one.
  static Stdio descriptor(int fd);
  // For stderr only: the same as stdout (2>&1).
  static Stdio out() { return Stdio(Kind::out); }

  Kind kind() const noexcept { return kind_; }
  const std::string& path() const noexcept { return path_; }
  bool appends() const noexcept { return appends_; }
  int fd() const noexcept { return fd_; }

 private:
  explicit Stdio(Kind kind, std::string path = {}) : path_(std::move(path)), kind_(kind) {}

  std::string path_;
  int fd_ = -1;
  Kind kind_ = Kind::unset;
  bool appends_ = false;
};

// The size of a terminal, in characters.
struct WindowSize {
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;
};

// A program to start, and all that it gets from this process: a value that can be used many times.
// It is started by Process or run().
//
//   net::Command tar("tar", {"-c", "."});
//   tar.directory = "/srv/data";
//   tar.out = net::Stdio::file("/tmp/data.tar");
//
// No shell is involved: each argument is passed unchanged. Besides what the members say:
//   - no signal is blocked in the child, and SIGPIPE has its default action
//   - signals with a handler get the default action, as by execve(2); ignored ones stay ignored
//   - only the standard streams and `descriptors` stay open
struct EVENT_API Command {
  // See `program` and `arguments`.
  explicit Command(std::string program_to_run, std::vector<std::string> its_arguments = {})
      : program(std::move(program_to_run)), arguments(std::move(its_arguments)) {}

  // `/bin/sh -c script`, with the arguments as "$1", "$2" ... in the script. Never put untrusted
  // text into the script: pass it as an argument. The shell gets a process group of its own, so
  // that Process::stop() and ~Process() reach the programs that it runs. Process::kill() reaches
  // the shell alone; and after SIGTERM, which ends a shell at once, stop() kills what the shell has
  // started. Write `exec` before the last command if that command should get the signal, and the
  // time to end: `exec program` takes the place of the shell.
  static Command shell(std::string script, std::vector<std::string> arguments = {});

  // With a slash: a path. Without: looked up in the PATH of the child, or in /usr/bin:/bin if the
  // child has no PATH. Relative paths, also those in PATH, are relative to `directory`. Empty
  // elements of PATH are skipped.
  std::string program;
  std::vector<std::string> arguments;  // without argv[0]
  std::string name;                    // argv[0]; empty: `program`

  // Changes to the inherited environment: a value sets a variable, no value removes it.
  std::map<std::string, std::optional<std::string>> environment;
  bool clear_environment = false;  // inherits no variable

  std::string directory;  // working directory; empty: that of this process

  Stdio in;
  Stdio out;
  Stdio err;

  // Further fds: from the number in the child to the fd of this process, which is duplicated.
  // Entries for 0, 1 and 2 override `in`, `out` and `err`. RLIMIT_NOFILE must leave room for as
  // many more fds above the highest number, as they are first duplicated to temporary numbers.
  std::map<int, int> descriptors;
  // If true, the child also inherits all other fds that are not close-on-exec. If false, it
  // inherits none of them.
  bool keep_descriptors = false;

  enum class Group : std::uint8_t {
    inherit,  // that of this process: Ctrl-C at the terminal reaches the child as well
    own,      // a new one, which Process can signal
    join,     // `process_group`
    session,  // a new session, and so a new group, without a terminal: see setsid(2)
  };
  Group group = Group::inherit;
  pid_t process_group = 0;  // for Group::join, which fails with EINVAL if this is not positive

  // If set, the child gets a pseudo-terminal of this size: a new session with the pseudo-terminal
  // as its controlling terminal, whatever `group` is. It is also each of stdin, stdout and stderr
  // that is not set. See Process::terminal(), pty(7).
  std::optional<WindowSize> terminal;

  // User and groups of the child; set in the order groups, gid, uid. If `uid` is set without
  // `groups` and this process is root, the child has no supplementary groups.
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<std::vector<gid_t>> groups;

  // Resource limits: from a resource to its soft and hard limit. See setrlimit(2).
  std::map<int, rlimit> limits;
  std::optional<mode_t> umask;

  // If true, signals that this process ignores have their default action in the child.
  bool reset_ignored_signals = false;

  // The signal that the child gets when the thread (not the process) that started it ends. 0: none.
  // Linux only; elsewhere starting fails with ENOTSUP. See PR_SET_PDEATHSIG in prctl(2).
  int parent_death_signal = 0;
};

}  // namespace event_cpp::net
