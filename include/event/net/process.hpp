// Process: a child process. run(): starts a program, and waits for its output and its end.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "event/base.hpp"
#include "event/co/task.hpp"
#include "event/net/command.hpp"
#include "event/net/pipe_stream.hpp"
#include "event/time.hpp"

namespace event_cpp::net {

// Thrown if a child could not be started. code() is the system's error, such as ENOENT; step() is
// the step that failed; path() is the file, directory or program concerned, or empty.
class EVENT_API SpawnError : public std::system_error {
 public:
  enum class Step : std::uint8_t {
    base,         // Errc::unsupported: it has Backend::none or a net::Kernel; ManualTime is allowed
    open,         // opening a file for a standard stream
    pipe,         // making a pipe
    terminal,     // no pseudo-terminal, or it cannot become the controlling terminal
    start,        // the system refuses another process: EAGAIN, ENOMEM
    group,        // setting the process group or session
    descriptors,  // an fd for the child is not open or not possible
    limits,       // setting resource limits
    user,         // setting groups, gid or uid
    directory,    // changing the working directory
    signals,      // setting parent_death_signal
    exec,         // executing the program
    watch,        // the base cannot wait for the child, which was killed
  };

  SpawnError(Step step, std::error_code code, std::string path, const std::string& what)
      : std::system_error(code, what), step_(step), path_(std::move(path)) {}

  Step step() const noexcept { return step_; }
  const std::string& path() const noexcept { return path_; }

 private:
  Step step_;
  std::string path_;
};

// How a process has ended.
struct EVENT_API Exit {
  bool known = false;        // false: other code has reaped it, so its status is lost
  int code = -1;             // exit code, see exit(3); -1 if a signal has killed it
  int signal = 0;            // the signal that has killed it; 0: none
  bool dumped_core = false;  // see core(5)

  // Whether it has exited with code 0.
  bool success() const noexcept { return known && signal == 0 && code == 0; }
  // From a status of waitpid(2). -1: not known.
  static Exit of(int status) noexcept;
  // A description, such as "exited with 1", "killed by signal 9".
  std::string text() const;
};

// A child process, which this object starts and owns. (To wait for a child that the program has
// started itself, see event::Child.) The destructor kills a running child with SIGKILL, together
// with its process group if that is its own; it does not wait, and the base reaps the child, so
// that no zombie is left. If the child has already ended, the destructor kills nothing: other
// processes of its group live on, see kill_group(). See also detach().
//
// While the child runs, or a pipe to it is open here, dispatch() does not return for lack of
// events.
//
//   net::Command sort("sort");
//   sort.in = sort.out = net::Stdio::pipe();
//   net::Process process(base, sort);
//   co_await process.in().write("b\na\n");
//   co_await process.in().shutdown();
//   std::array<char, 100> room;
//   const std::size_t size = co_await process.out().read_some(room);
//   const net::Exit exit = co_await process.wait();
//
// A child that writes more than a pipe holds (64 KiB on Linux) blocks until the pipe is read. So
// read out() and err() at the same time, or let the child inherit stderr; run() does this for you.
// After the child has ended, its output may still be unread in the pipe.
//
// Thread-safety: belongs to the thread that runs its base; processes of several bases may be
// started at once. Lifetime: process and base may be destroyed in either order. Movable. Memory:
// some 500 bytes, and 80 for each pipe.
class EVENT_API Process {
 public:
  // Starts the child. When this returns, exec of the program has succeeded.
  // Errors: throws SpawnError; std::bad_alloc. Then there is no child, and nothing is left open.
  // Cost: blocks for about as long as posix_spawn(3) takes, however much memory this process has;
  // outside Linux for as long as fork(2) if posix_spawn() lacks what the command asks for. If the
  // program is still open for writing (ETXTBSY), it is tried four times, within 7 ms.
  Process(Base& base, const Command& command);
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  ~Process();

  pid_t pid() const noexcept;
  Base& base() const noexcept;

  // Our ends of the child's pipes. in() is for writing only: its shutdown() closes it, and the
  // child reads end-of-file. out() and err() are for reading only. Requires: the command has
  // Stdio::pipe() for this stream, and no entry for it in Command::descriptors.
  PipeStream& in() noexcept;
  PipeStream& out() noexcept;
  PipeStream& err() noexcept;
  // The master side of the child's pseudo-terminal: what is written here the child reads, and what
  // it writes is read here. Reading ends when the last process that has the terminal open has
  // ended. Closing it hangs up: the session gets SIGHUP. Requires: Command::terminal.
  PipeStream& terminal() noexcept;
  // Sets the window size; the foreground process group gets SIGWINCH. Errors: throws
  // std::system_error. Requires: Command::terminal.
  void resize(WindowSize size);

  // How the child has ended; no value while it runs.
  const std::optional<Exit>& exit() const noexcept;

  // Waits until the child has ended; its output may still be unread (see run()). Any number of
  // tasks may wait, also after the end. Cancelling the wait does not affect the child. For a limit,
  // use co::with_timeout(5s, process.wait()). Errors: throws std::errc::operation_canceled if the
  // task is cancelled or the Process destroyed.
  co::Task<Exit> wait();

  // Calls f once, when the child has ended; in the next iteration if it has ended already. f may
  // destroy this Process. Replaces an earlier function; an empty f removes it. An exception of f
  // leaves dispatch().
  void on_exit(std::function<void(Exit)> f);

  // Sends the child a signal. Returns false if the child has ended; another process that reuses its
  // process ID is never signalled. Errors: throws std::system_error: EINVAL, EPERM. See kill(2),
  // pidfd_send_signal(2).
  bool kill(int signo);
  // Sends a signal to the child's process group, also after the child itself has ended. Returns
  // false if the group is empty. After the end of the child it also returns false if the system
  // cannot signal the group safely, since its ID may be reused; Linux can since 6.9. Errors: as
  // kill(). Requires: Command::group is own or session, or Command::terminal is set.
  bool kill_group(int signo);

  // Ends the child: sends SIGTERM, and SIGCONT in case it is stopped; after `grace`, SIGKILL. If
  // the child has a group of its own, the signals go to the group. `grace` is only for the child
  // itself: as soon as it has ended, SIGKILL goes to the rest of the group, if the system can
  // signal that: see kill_group(). A shell ends at SIGTERM at once, so its programs have no time to
  // end: see Command::shell().
  //
  // Returns when the child has ended. A cancellation of the task takes effect only after that, also
  // one that came before the call: this returns the Exit, and the next wait of the task throws.
  // Errors: as wait().
  co::Task<Exit> stop(AnyDuration grace);

  // From now on the destructor does not kill the child, which may outlive this program. The base
  // still reaps it. The destructor closes the pipes as before.
  void detach() noexcept;

 private:
  struct State;
  struct Stop;
  std::unique_ptr<State> state_;
};

struct RunOptions {
  // What the program reads from stdin, and then end-of-file. Without effect if Command::in is set
  // to anything but a pipe.
  std::string input;
  // How many bytes of stdout and of stderr to keep. More are read and dropped.
  std::size_t most_out = std::size_t{16} << 20;
  std::size_t most_err = std::size_t{1} << 20;
  // If `limit` has passed or the task is cancelled: the longest time between SIGTERM and SIGKILL.
  // The program itself has this time. What it has started is killed as soon as the program has
  // ended: see Process::stop(), also for shells. Zero: SIGKILL at once.
  AnyDuration grace{};
  // After the program has ended, other processes may still have its pipes open. Reading ends when
  // nothing has come from a pipe for so long. Below 1 ns counts as 1 ns. With a `limit` it also
  // ends one second, or `linger` if that is longer, after the limit or the end of the program,
  // whichever is later, even if others go on writing.
  AnyDuration linger = std::chrono::milliseconds(100);
  // The longest time for which the program may run. Then it is killed with its group, and run()
  // returns the output so far, with Outcome::timed_out. Zero: no limit.
  AnyDuration limit{};
};

// The result of run(): how the program has ended, and its output. (adapters::Outcome is another
// type.)
struct Outcome {
  Exit exited;
  std::string out;         // stdout; of a terminal all output
  std::string err;         // stderr
  bool truncated = false;  // output beyond `most_out` or `most_err` was dropped
  bool abandoned = false;  // reading ended because of `linger`: others had a pipe still open
  bool timed_out = false;  // the program was killed because of RunOptions::limit
};

// Runs a program on the base of the task that awaits it, until it has ended, and returns how it has
// ended and what it has written. stdout and stderr are captured, and stdin is `options.input`,
// unless the command sets them. An exit code other than 0 is not an error: see Exit::success().
//
// The program gets a process group of its own, also with Group::inherit, but not with Group::join.
// If the task is cancelled (after RunOptions::grace) or destroyed before the end, as by
// co::with_timeout(), the group is killed. Processes that have left the group (setsid(2)) live on.
// After the program has ended by itself, its background processes live on as well. Errors: throws
// SpawnError; std::errc::operation_canceled; std::bad_alloc. It is no error if the program does not
// read its input.
EVENT_API co::Task<Outcome> run(Command command, RunOptions options);
EVENT_API co::Task<Outcome> run(Command command);

}  // namespace event_cpp::net
