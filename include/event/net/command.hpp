// Command: what a child process is to be.
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

// What a standard stream of a child is.
class EVENT_API Stdio {
 public:
  enum class Kind : std::uint8_t { unset, inherit, null, pipe, file, descriptor, out };

  // As if it was inherited, or what run() chooses.
  Stdio() = default;
  // The same as this process has. A terminal, for example.
  static Stdio inherit() { return Stdio(Kind::inherit); }
  // /dev/null: the end when it is read; what is written is dropped.
  static Stdio null() { return Stdio(Kind::null); }
  // A pipe; this process has the other end: see Process::in(), out() and err().
  static Stdio pipe() { return Stdio(Kind::pipe); }
  // A file: as stdin it is read, as stdout or stderr it is created or truncated, or appended to.
  // It is opened by this process before the child is started. A FIFO that nobody reads is an error,
  // ENXIO; that it does not open would be to block.
  static Stdio file(std::string path) { return Stdio(Kind::file, std::move(path)); }
  static Stdio append(std::string path);
  // A descriptor of this process, which stays its own. Give the child a blocking one: few programs
  // expect another.
  static Stdio descriptor(int fd);
  // For stderr: what stdout is, so that both come in their order.
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

// In characters.
struct WindowSize {
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;
};

// A program to start, and all that it gets from this process: a value, which can be kept and used
// again. Nothing happens before a Process is made of it, or run() is given it.
//
//   net::Command tar("tar", {"-c", "."});
//   tar.directory = "/srv/data";
//   tar.out = net::Stdio::file("/tmp/data.tar");
//
// No shell looks at it: each argument arrives as it is. What is not said here:
//   - no signal is blocked in the child, and SIGPIPE is not ignored
//   - signals with a handler get the default action, as by exec; ignored ones stay ignored
//   - only its standard streams and `descriptors` stay open
struct EVENT_API Command {
  // See `program` and `arguments`.
  explicit Command(std::string program_to_run, std::vector<std::string> its_arguments = {})
      : program(std::move(program_to_run)), arguments(std::move(its_arguments)) {}

  // `sh -c script`; in the script the arguments are "$1", "$2" ... Never put what others have sent
  // into the script: give it as an argument. The shell is in a process group of its own, so that
  // Process::stop() and ~Process() reach what it runs. A signal of Process::kill() reaches the
  // shell alone: write `exec` before the last command of the script if that should get it.
  static Command shell(std::string script, std::vector<std::string> arguments = {});

  // A path if it has a slash; else it is looked up in the PATH of the child, without one in that of
  // the system's own programs. What is relative, also in PATH, is relative to `directory`; empty
  // elements of PATH are skipped.
  std::string program;
  std::vector<std::string> arguments;  // without argv[0]
  std::string name;                    // argv[0]; empty: `program`

  // Changes to this process's environment: a value, or nothing to remove the variable.
  std::map<std::string, std::optional<std::string>> environment;
  bool clear_environment = false;  // starts from an empty one

  std::string directory;  // empty: that of this process

  Stdio in;
  Stdio out;
  Stdio err;

  // Further descriptors: by the number that the child sees, that of this process. Those of 0 to 2
  // go before `in`, `out` and `err`. RLIMIT_NOFILE must leave room for as many above the highest
  // number: they are copied out of each other's way first.
  std::map<int, int> descriptors;
  // Others that are not close-on-exec stay open too. By default they do not, whoever opened them.
  bool keep_descriptors = false;

  enum class Group : std::uint8_t {
    inherit,  // this process's: Ctrl-C at the terminal reaches the child as well
    own,      // one of its own, which signals can be sent to
    join,     // `process_group`
    session,  // a session of its own, and so a group, without a terminal
  };
  Group group = Group::inherit;
  pid_t process_group = 0;  // for Group::join, which is refused without: EINVAL

  // A terminal of its own: stdin, stdout and stderr are it unless they are set, and it controls the
  // session, which is the child's own: `group` does not count. See Process::terminal(), pty(7).
  std::optional<WindowSize> terminal;

  // Who the child runs as. Set in the order groups, gid, uid. A user without `groups` has no
  // supplementary groups if this process is root.
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<std::vector<gid_t>> groups;

  // See setrlimit(2): resource, soft and hard limit.
  std::map<int, rlimit> limits;
  std::optional<mode_t> umask;

  // Signals that are ignored in this process are not in the child.
  bool reset_ignored_signals = false;

  // The child gets this signal when the thread that started it ends: not the process. 0: none.
  // Linux; elsewhere starting fails with ENOTSUP. See PR_SET_PDEATHSIG in prctl(2).
  int parent_death_signal = 0;
};

}  // namespace event_cpp::net
