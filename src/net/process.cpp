#include "event/net/process.hpp"

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <csignal>
#include <utility>

#include "base/no_cancellation.hpp"
#include "event/child.hpp"
#include "event/co/sync.hpp"
#include "event/co/timeout.hpp"
#include "event/co/wait.hpp"
#include "net/launch.hpp"
#include "net/net_state.hpp"
#include "net/unreaped.hpp"

namespace event_cpp::net {
namespace {

void check_base(Base& base) {
  if (base.backend() != Backend::none && kernel_of(base) == nullptr) return;
  throw SpawnError(SpawnError::Step::base, Errc::unsupported, {},
                   "event::net::Process: a simulated base has no processes");
}

bool has_own_group(const Command& command) noexcept {
  return command.terminal || command.group == Command::Group::own ||
         command.group == Command::Group::session;
}

// `new` has its memory before the descriptor is let go; make_unique() would be given it first.
std::unique_ptr<PipeStream> make_stream(Base& base, detail::UniqueFd& fd) {
  return std::unique_ptr<PipeStream>(fd ? new PipeStream(base, fd.release()) : nullptr);
}

// For systems without a pidfd. Until it is reaped its ID, and that of its group, are the child's.
int signal_by_pid(pid_t pid, int signo, bool to_group) noexcept {
  const event_cpp::detail::NoCancellation whole;
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
    if (errno != EINTR) return ESRCH;
  }
  return ::kill(to_group ? -pid : pid, signo) == 0 ? 0 : errno;
}

// What those who wait for the end share, whatever happens to the Process.
struct Ending {
  std::optional<Exit> exit;
  bool is_owner_gone = false;
  co::Notification changed;
};

co::Task<Exit> wait_for(std::shared_ptr<Ending> ending) {
  if (ending->exit) co_await co::detail::Spend();
  while (!ending->exit) {
    if (ending->is_owner_gone) co::detail::throw_cancelled();
    co_await ending->changed.wait();
  }
  co_return *ending->exit;
}

}  // namespace

// Outlives its Process if the child does. Then it is its own, or goes with the base.
struct Process::State final : detail::ProcessOfBase {
  State(Base& its_base, const Command& command);
  ~State() {
    if (!ending->exit) detail::Unreaped::add(pid, unreaped);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void watch();
  void ended(int status);
  // Returns an errno; ESRCH if there is nobody to get it.
  int try_signal(int signo, bool to_group) const noexcept;
  bool signal(int signo, bool to_group) const;
  // To all that stop() and the destructor are for.
  void signal_all(int signo) const noexcept { static_cast<void>(try_signal(signo, has_group)); }
  // Its Process is gone.
  static void let_go(std::unique_ptr<State> state) noexcept;
  void base_is_gone() noexcept override;

  Base& base;
  const bool has_group;
  bool is_detached = false;
  bool has_owner = true;
  bool has_base = true;
  const pid_t parent = ::getpid();
  pid_t pid = -1;
  detail::Unreaped::Place unreaped = detail::Unreaped::make_place();
  detail::UniqueFd pidfd;  // none where the system has no such thing
  std::unique_ptr<PipeStream> in;
  std::unique_ptr<PipeStream> out;
  std::unique_ptr<PipeStream> err;
  std::unique_ptr<PipeStream> terminal;
  std::shared_ptr<Ending> ending = std::make_shared<Ending>();
  std::function<void(Exit)> on_exit;
  Event late;                  // calls on_exit if that is set after the end
  std::optional<Child> child;  // from the start to the end
};

// All that may fail is done before there is a child, but for the last line.
Process::State::State(Base& its_base, const Command& command)
    : base(its_base),
      has_group(has_own_group(command)),
      late(its_base, -1, Events::none, [this] { std::exchange(on_exit, nullptr)(*ending->exit); }) {
  detail::Unreaped::look();
  detail::Launch launch(command);
  in = make_stream(base, launch.in);
  out = make_stream(base, launch.out);
  err = make_stream(base, launch.err);
  terminal = make_stream(base, launch.terminal);
  detail::state_of(base).processes.push_back(*this);
  detail::Started started = launch.start();
  pid = started.pid;
  pidfd = std::move(started.pidfd);
  watch();
}

void Process::State::watch() {
  child.emplace(base, pid, [this](int status) { ended(status); });
  const std::error_code error = pidfd ? child->try_attach_pidfd(pidfd.get()) : child->try_attach();
  if (!error) return;
  signal_all(SIGKILL);
  detail::reap(pid);
  throw SpawnError(SpawnError::Step::watch, error, {}, "event::net::Process: cannot wait for it");
}

void Process::State::ended(int status) {
  if (status == -1 && pidfd) status = detail::status_by_pidfd(pidfd.get());
  ending->exit = Exit::of(status);
  if (!has_owner) {
    delete this;
    return;
  }
  ending->changed.notify_all();
  if (on_exit != nullptr) std::exchange(on_exit, nullptr)(*ending->exit);  // may destroy this
}

int Process::State::try_signal(int signo, bool to_group) const noexcept {
  const bool has_ended = ending->exit.has_value();
  if (has_ended && !to_group) return ESRCH;
  const int error = pidfd ? detail::signal_by_pidfd(pidfd.get(), signo, to_group) : ENOSYS;
  if (error == 0 || error == ESRCH) return error;
  // The kernel has no such call, or none for groups, or a filter of system calls refuses it.
  return has_ended ? ESRCH : signal_by_pid(pid, signo, to_group);
}

bool Process::State::signal(int signo, bool to_group) const {
  const int error = try_signal(signo, to_group);
  if (error == 0) return true;
  if (error == ESRCH) return false;
  throw std::system_error(error, std::system_category(), "event::net::Process::kill");
}

void Process::State::let_go(std::unique_ptr<State> state) noexcept {
  state->ending->is_owner_gone = true;
  state->ending->changed.notify_all();
  if (state->ending->exit) return;
  // The child of a fork(2) has a copy of this object, and no right to the process.
  if (!state->is_detached && ::getpid() == state->parent) state->signal_all(SIGKILL);
  if (!state->has_base) return;
  state->has_owner = false;
  state->on_exit = nullptr;
  state->in.reset();
  state->out.reset();
  state->err.reset();
  state->terminal.reset();
  state->child->keep_alive(false);
  static_cast<void>(state.release());
}

void Process::State::base_is_gone() noexcept {
  has_base = false;
  if (!has_owner) delete this;
}

Process::Process(Base& base, const Command& command) {
  check_base(base);
  state_ = std::make_unique<State>(base, command);
}

Process::Process(Process&&) noexcept = default;

Process& Process::operator=(Process&& other) noexcept {
  Process moved(std::move(other));  // it may be this one
  std::swap(state_, moved.state_);
  return *this;
}

Process::~Process() {
  if (state_ != nullptr) State::let_go(std::move(state_));
}

pid_t Process::pid() const noexcept { return state_->pid; }
Base& Process::base() const noexcept { return state_->base; }

PipeStream& Process::in() noexcept {
  assert(state_->in != nullptr && "Command::in is a pipe");
  return *state_->in;
}
PipeStream& Process::out() noexcept {
  assert(state_->out != nullptr && "Command::out is a pipe");
  return *state_->out;
}
PipeStream& Process::err() noexcept {
  assert(state_->err != nullptr && "Command::err is a pipe");
  return *state_->err;
}
PipeStream& Process::terminal() noexcept {
  assert(state_->terminal != nullptr && "the command has a terminal");
  return *state_->terminal;
}

void Process::resize(WindowSize size) {
  winsize kernels{};
  kernels.ws_row = size.rows;
  kernels.ws_col = size.columns;
  if (::ioctl(terminal().fd(), TIOCSWINSZ, &kernels) != 0) {
    throw std::system_error(errno, std::system_category(), "event::net::Process::resize");
  }
}

const std::optional<Exit>& Process::exit() const noexcept { return state_->ending->exit; }

co::Task<Exit> Process::wait() { return wait_for(state_->ending); }

void Process::on_exit(std::function<void(Exit)> f) {
  state_->on_exit.swap(f);  // the former one may own this, and is destroyed at the end
  if (state_->on_exit == nullptr) {
    state_->late.detach();
  } else if (state_->ending->exit) {
    state_->late.activate(Events::timeout);
  }
}

bool Process::kill(int signo) { return state_->signal(signo, false); }

bool Process::kill_group(int signo) {
  assert(state_->has_group && "the child has a process group of its own");
  return state_->signal(signo, true);
}

// A coroutine that knows no Process, which may be moved or destroyed.
struct Process::Stop {
  static co::Task<Exit> end(State& state, std::shared_ptr<Ending> ending, Duration grace) {
    if (!ending->exit) {
      if (ending->is_owner_gone) co::detail::throw_cancelled();
      state.signal_all(SIGTERM);
      state.signal_all(SIGCONT);  // it may be stopped, and then no other signal is taken
      co::Task<Exit> wait = wait_for(ending);
      co_await co::try_with_timeout(grace, std::move(wait));
      if (ending->is_owner_gone) co::detail::throw_cancelled();
      if (!ending->exit || state.has_group) state.signal_all(SIGKILL);
    }
    const Exit exit = co_await wait_for(ending);
    co_return exit;
  }
  static co::Task<Exit> shielded(State& state, std::shared_ptr<Ending> ending, Duration grace) {
    co::Task<Exit> task = end(state, std::move(ending), grace);
    const Exit exit = co_await co::shield(std::move(task));
    co_return exit;
  }
};

co::Task<Exit> Process::stop(AnyDuration grace) {
  return Stop::shielded(*state_, state_->ending, grace);
}

void Process::detach() noexcept { state_->is_detached = true; }

}  // namespace event_cpp::net
