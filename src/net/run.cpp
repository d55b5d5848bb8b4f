// run(): a process from its start to its end.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

#include "event/co/group.hpp"
#include "event/co/timeout.hpp"
#include "event/co/wait.hpp"
#include "event/net/process.hpp"

namespace event_cpp::net {
namespace {

// What is kept of a stream.
struct Capture {
  std::string& text;
  std::size_t most;
  bool is_truncated = false;
  bool is_abandoned = false;

  void add(Bytes bytes) {
    const std::size_t size = std::min(bytes.size(), most - text.size());
    text.append(bytes.data(), size);
    if (size < bytes.size()) is_truncated = true;
  }
};

[[noreturn]] void throw_error(std::error_code error) {
  if (error == std::errc::not_enough_memory) throw std::bad_alloc();
  throw std::system_error(error, "event::net::run");
}

// To the end, or until `linger` has passed.
co::Task<> drain(PipeStream& from, Capture& to) {
  for (;;) {
    const co::Result<Chunk> chunk = co_await from.try_receive();
    to.is_abandoned = chunk.error == std::errc::timed_out;
    if (to.is_abandoned) break;
    if (chunk.error) throw_error(chunk.error);
    if (!chunk.value) break;
    to.add(chunk.value.bytes());
  }
}

// That the program does not read all of it is not our concern, nor that it has ended. A terminal
// that nobody has open says EIO.
bool is_unwanted(std::error_code error, bool is_terminal) {
  return error == std::errc::broken_pipe || error == std::errc::timed_out ||
         (is_terminal && error == std::errc::io_error);
}

co::Task<> feed(PipeStream& to, const std::string& input, bool is_terminal) {
  std::error_code error = co_await to.try_write_all(input);
  try {
    // In the middle of a line the first one ends the line.
    if (!error && is_terminal && !input.ends_with('\n')) co_await to.shutdown();
    if (!error) co_await to.shutdown();
  } catch (const std::system_error& its_error) {
    error = its_error.code();
  }
  if (!error) co_return;
  if (!is_unwanted(error, is_terminal)) throw_error(error);
  if (!is_terminal) to.close();  // a terminal is still to be read
}

// What the command leaves open.
void set_defaults(Command& command, const RunOptions& options) {
  if (command.group == Command::Group::inherit) command.group = Command::Group::own;
  Stdio* const streams[] = {&command.in, &command.out, &command.err};
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (command.descriptors.contains(number)) *streams[number] = Stdio::inherit();  // not looked at
  }
  if (command.terminal) return;
  if (command.in.kind() == Stdio::Kind::unset) {
    command.in = options.input.empty() ? Stdio::null() : Stdio::pipe();
  }
  if (command.out.kind() == Stdio::Kind::unset) command.out = Stdio::pipe();
  if (command.err.kind() == Stdio::Kind::unset) command.err = Stdio::pipe();
}

// Ends with what is left of its group a process that nobody has waited for. The child of a fork(2)
// has a copy of this, and no right to the process.
class KillUnlessDone {
 public:
  KillUnlessDone(Process& process, const Command& command) noexcept
      : process_(process), has_group_(command.terminal || command.group != Command::Group::join) {}
  ~KillUnlessDone() {
    if (!is_done_ && ::getpid() == parent_) kill();
  }
  KillUnlessDone(const KillUnlessDone&) = delete;
  KillUnlessDone& operator=(const KillUnlessDone&) = delete;

  void kill() noexcept {
    try {
      static_cast<void>(has_group_ ? process_.kill_group(SIGKILL) : process_.kill(SIGKILL));
    } catch (const std::system_error&) {
      return;  // it has become another user's
    }
  }
  void done() noexcept { is_done_ = true; }

 private:
  Process& process_;
  const bool has_group_;
  const pid_t parent_ = ::getpid();
  bool is_done_ = false;
};

// The streams of a process, whichever it has.
template <class F>
void for_each_stream(Process& process, const Command& command, F f) {
  if (command.in.kind() == Stdio::Kind::pipe) f(process.in());
  if (command.out.kind() == Stdio::Kind::pipe) f(process.out());
  if (command.err.kind() == Stdio::Kind::pipe) f(process.err());
  if (command.terminal) f(process.terminal());
}

// Until the program has ended, by itself or at the limit.
co::Task<> await_end(Process& process, KillUnlessDone& kill, const RunOptions& options,
                     Outcome& outcome) {
  if (options.limit <= Duration::zero()) {
    outcome.exited = co_await process.wait();
    co_return;
  }
  const std::optional<Exit> in_time = co_await co::try_with_timeout(options.limit, process.wait());
  if (in_time) {
    outcome.exited = *in_time;
    co_return;
  }
  outcome.timed_out = true;
  if (options.grace > Duration::zero()) {
    outcome.exited = co_await process.stop(options.grace);
  } else {
    kill.kill();
    outcome.exited = co_await process.wait();
  }
}

// For how long the streams may be read after the program has ended, whoever goes on writing.
Duration time_to_read(const RunOptions& options, Duration passed) {
  const Duration least = std::max<Duration>(options.linger, std::chrono::seconds(1));
  const Duration limit = options.limit;
  const Duration left = std::max(limit - passed, Duration::zero());
  return left < Duration::max() - least ? left + least : Duration::max();
}

}  // namespace

co::Task<Outcome> run(Command command, RunOptions options) {
  Base& base = co_await co::base();
  const bool is_cancelled = co_await co::cancelled();
  if (is_cancelled) co::detail::throw_cancelled();
  const TimePoint start = base.now();
  set_defaults(command, options);
  Outcome outcome;
  Capture out{outcome.out, options.most_out};
  Capture err{outcome.err, options.most_err};
  Process process(base, command);
  KillUnlessDone kill(process, command);
  std::exception_ptr stream_error;
  // Goes before the streams. What is not read any more must not keep the program waiting.
  co::TaskGroup streams(base, [&](std::exception_ptr error) {
    if (stream_error != nullptr) return;  // what follows is that its stream was closed
    stream_error = std::move(error);
    for_each_stream(process, command, [](PipeStream& stream) { stream.close(); });
    kill.kill();
  });
  if (command.in.kind() == Stdio::Kind::pipe) {
    streams.spawn(feed(process.in(), options.input, false));
  }
  if (command.out.kind() == Stdio::Kind::pipe) streams.spawn(drain(process.out(), out));
  if (command.err.kind() == Stdio::Kind::pipe) streams.spawn(drain(process.err(), err));
  if (command.terminal) {
    if (!options.input.empty()) streams.spawn(feed(process.terminal(), options.input, true));
    streams.spawn(drain(process.terminal(), out));
  }
  std::exception_ptr error;
  try {
    co_await await_end(process, kill, options, outcome);
  } catch (...) {
    error = std::current_exception();
  }
  if (error != nullptr) {
    if (options.grace > Duration::zero()) co_await process.stop(options.grace);
    std::rethrow_exception(error);
  }
  // From here on each stream may be silent for so long: every byte starts it anew.
  const Duration linger = std::max<Duration>(options.linger, Duration(1));
  if (stream_error == nullptr) {
    for_each_stream(process, command, [&](PipeStream& stream) { stream.idle_timeout(linger); });
  }
  if (options.limit > Duration::zero()) {
    const Duration left = time_to_read(options, base.now() - start);
    const auto all_read = co_await co::try_with_timeout(left, streams.join());
    outcome.abandoned = !all_read;
  } else {
    co_await streams.join();
  }
  if (stream_error != nullptr) std::rethrow_exception(stream_error);
  kill.done();
  outcome.truncated = out.is_truncated || err.is_truncated;
  outcome.abandoned |= out.is_abandoned || err.is_abandoned;
  co_return outcome;
}

// No default argument: g++ 12 destroys one twice in a co_await expression.
co::Task<Outcome> run(Command command) { return run(std::move(command), RunOptions()); }

}  // namespace event_cpp::net
