#include "net/launch.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <mutex>
#include <string_view>
#include <utility>

#include "base/no_cancellation.hpp"
#include "net/make_pipe.hpp"
#include "net/printable.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration): not on every system

namespace event_cpp::net::detail {

#if EVENT_HAVE_CLONE
constinit Spawner spawner = &spawn_by_clone;
#else
constinit Spawner spawner = &spawn_by_posix;
#endif

namespace {

constexpr const char* kStandardPath = "/usr/bin:/bin";

// What could not be done.
const char* describe(Step step) noexcept {
  switch (step) {
    case Step::base:
      return "use this base";
    case Step::open:
      return "open";
    case Step::pipe:
      return "make a pipe";
    case Step::terminal:
      return "make a terminal";
    case Step::start:
      return "make another process";
    case Step::group:
      return "set the process group";
    case Step::descriptors:
      return "give the child its descriptors";
    case Step::limits:
      return "set its limits";
    case Step::user:
      return "set its user";
    case Step::directory:
      return "enter the directory";
    case Step::signals:
      return "set its signals";
    case Step::exec:
      return "run";
    case Step::watch:
      return "wait for it";
  }
  return "";
}

[[noreturn]] void throw_error(Step step, int error, std::string path = {},
                              const std::string& more = {}) {
  std::string what = std::string("event::net::Process: cannot ") + describe(step);
  if (!path.empty()) what += ' ' + printable(path);
  if (!more.empty()) what += ": " + more;
  throw SpawnError(step, {error, std::system_category()}, std::move(path), what);
}

void check_text(const std::string& text, const std::string& program) {
  if (text.find('\0') != std::string::npos) {
    throw_error(Step::exec, EINVAL, program,
                "an argument or an environment variable contains a zero byte");
  }
}

void check_path(const std::string& path, Step step) {
  if (path.find('\0') != std::string::npos)
    throw_error(step, EINVAL, path, "it contains a zero byte");
}

std::string_view name_of_variable(const char* variable) noexcept {
  const std::string_view text(variable);
  return text.substr(0, text.find('='));
}

// The other end of a terminal. -1: errno says why.
int open_peer(int master) noexcept {
  constexpr int kFlags = O_RDWR | O_NOCTTY | O_CLOEXEC;
#ifdef TIOCGPTPEER
  const int peer = ::ioctl(master, TIOCGPTPEER, kFlags);
  if (peer >= 0 || (errno != ENOTTY && errno != EINVAL)) return peer;
#endif
  static std::mutex one_name;  // ptsname(3) has one buffer
  const std::lock_guard lock(one_name);
  const char* const name = ::ptsname(master);
  return name != nullptr ? ::open(name, kFlags) : -1;
}

}  // namespace

Launch::Launch(const Command& command) : command_(command) {
  const event_cpp::detail::NoCancellation whole;
  check_descriptors();  // before anything gets the number of one that is not open
  set_arguments();
  set_environment();
  set_candidates();
  if (command.terminal) open_terminal();
  add_moves();

  plan_.close_others = !command.keep_descriptors;
  plan_.group = command.group;
  if (command.group == Command::Group::join && command.process_group <= 0) {
    throw_error(Step::group, EINVAL);  // a 0 would be a new group
  }
  plan_.process_group = command.process_group;
  check_path(command.directory, Step::directory);
  if (!command.directory.empty()) plan_.directory = command.directory.c_str();
  for (const auto& [resource, value] : command.limits) limits_.push_back({resource, value});
  plan_.limits = limits_.data();
  plan_.limit_count = limits_.size();
  plan_.has_umask = command.umask.has_value();
  plan_.umask = command.umask.value_or(0);
  plan_.has_uid = command.uid.has_value();
  plan_.uid = command.uid.value_or(0);
  plan_.has_gid = command.gid.has_value();
  plan_.gid = command.gid.value_or(0);
  plan_.has_groups = command.groups.has_value() || (command.uid && ::geteuid() == 0);
  if (command.groups) {
    plan_.groups = command.groups->data();
    plan_.group_count = command.groups->size();
  }
  plan_.reset_ignored_signals = command.reset_ignored_signals;
  plan_.parent_death_signal = command.parent_death_signal;
}

void Launch::check_descriptors() const {
  const auto check = [](int fd) {
    if (::fcntl(fd, F_GETFD) < 0) throw_error(Step::descriptors, errno);
  };
  for (const auto& [number, fd] : command_.descriptors) {
    const bool is_possible = number >= 0 && number < std::numeric_limits<int>::max();
    if (!is_possible) throw_error(Step::descriptors, EBADF);
    check(fd);
  }
  for (const Stdio* const stdio : {&command_.in, &command_.out, &command_.err}) {
    if (stdio->kind() == Stdio::Kind::descriptor) check(stdio->fd());
  }
  if (command_.in.kind() == Stdio::Kind::out || command_.out.kind() == Stdio::Kind::out) {
    throw_error(Step::descriptors, EINVAL);
  }
}

void Launch::set_arguments() {
  const std::string& name = command_.name.empty() ? command_.program : command_.name;
  check_text(command_.program, command_.program);
  check_text(name, command_.program);
  arguments_.push_back(const_cast<char*>(name.c_str()));
  for (const std::string& argument : command_.arguments) {
    check_text(argument, command_.program);
    arguments_.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments_.push_back(nullptr);
  plan_.arguments = arguments_.data();
}

void Launch::set_environment() {
  if (!command_.clear_environment && environ != nullptr) {
    for (char** variable = environ; *variable != nullptr; ++variable) {
      if (!command_.environment.contains(std::string(name_of_variable(*variable)))) {
        texts_.emplace_back(*variable);
      }
    }
  }
  for (const auto& [name, value] : command_.environment) {
    check_text(name, command_.program);
    if (name.empty() || name.find('=') != std::string::npos) {
      throw_error(Step::exec, EINVAL, command_.program,
                  "the name of an environment variable is empty or contains a =");
    }
    if (!value) continue;
    check_text(*value, command_.program);
    texts_.push_back(name + '=' + *value);
  }
  search_path_ = kStandardPath;
  for (std::string& text : texts_) {
    environment_.push_back(text.data());
    if (text.starts_with("PATH=")) search_path_ = text.substr(sizeof "PATH");
  }
  environment_.push_back(nullptr);
  plan_.environment = environment_.data();
}

void Launch::set_candidates() {
  const std::string& program = command_.program;
  if (program.empty()) throw_error(Step::exec, ENOENT, program, "its name is empty");
  if (program.find('/') != std::string::npos) {
    candidates_.push_back(program);
  } else {
    std::string_view left = search_path_;
    for (bool is_last = false; !is_last;) {
      const std::size_t end = left.find(':');
      is_last = end == std::string_view::npos;
      const std::string_view element = left.substr(0, end);
      if (!element.empty()) candidates_.push_back(std::string(element) + '/' + program);
      if (!is_last) left.remove_prefix(end + 1);
    }
  }
  if (candidates_.empty()) throw_error(Step::exec, ENOENT, program, "its PATH is empty");
  for (const std::string& candidate : candidates_) candidate_list_.push_back(candidate.c_str());
  candidate_list_.push_back(nullptr);
  plan_.candidates = candidate_list_.data();
}

// Takes what a call has returned for a descriptor of the child.
int Launch::own(int fd, Step step, const std::string& path) {
  UniqueFd opened = event_cpp::detail::own_internal(fd);
  if (!opened) throw_error(step, errno, path);
  opened_.push_back(std::move(opened));
  return opened_.back().get();
}

void Launch::open_terminal() {
  terminal = event_cpp::detail::own_internal(::posix_openpt(O_RDWR | O_NOCTTY));
  if (!terminal) throw_error(Step::terminal, errno);
  if (::fcntl(terminal.get(), F_SETFD, FD_CLOEXEC) != 0 || ::grantpt(terminal.get()) != 0 ||
      ::unlockpt(terminal.get()) != 0) {
    throw_error(Step::terminal, errno);
  }
  plan_.terminal = own(open_peer(terminal.get()), Step::terminal, {});
  winsize size{};
  size.ws_row = command_.terminal->rows;
  size.ws_col = command_.terminal->columns;
  if (::ioctl(terminal.get(), TIOCSWINSZ, &size) != 0) throw_error(Step::terminal, errno);
}

void Launch::add_moves() {
  for (const auto& [number, fd] : command_.descriptors) moves_.push_back({fd, number, false});
  add_stream(STDIN_FILENO, command_.in);
  add_stream(STDOUT_FILENO, command_.out);
  add_stream(STDERR_FILENO, command_.err);
  for (const Move& move : moves_) plan_.first_free = std::max(plan_.first_free, move.to + 1);
}

void Launch::add_stream(int number, const Stdio& stdio) {
  if (command_.descriptors.contains(number)) return;
  const bool is_unset = stdio.kind() == Stdio::Kind::unset;
  int from = number;
  switch (stdio.kind()) {
    case Stdio::Kind::unset:
    case Stdio::Kind::inherit:
      if (is_unset && plan_.terminal >= 0) from = plan_.terminal;
      break;
    case Stdio::Kind::null:
    case Stdio::Kind::file:
      from = open_file(number, stdio);
      break;
    case Stdio::Kind::pipe:
      from = add_pipe(number);
      break;
    case Stdio::Kind::descriptor:
      from = stdio.fd();
      break;
    case Stdio::Kind::out: {
      const auto first = std::find_if(moves_.begin(), moves_.end(),
                                      [](const Move& move) { return move.to == STDOUT_FILENO; });
      from = first->from;
      break;
    }
  }
  moves_.push_back({from, number, from == number});
}

// It must not block here either: a FIFO opens at once, or not at all.
int Launch::open_file(int number, const Stdio& stdio) {
  constexpr mode_t kMode = 0666;
  const bool is_null = stdio.kind() == Stdio::Kind::null;
  const std::string path = is_null ? "/dev/null" : stdio.path();
  check_path(path, Step::open);
  int flags = O_RDONLY;
  if (number != STDIN_FILENO) {
    flags = O_WRONLY | O_CREAT | (stdio.appends() || is_null ? O_APPEND : O_TRUNC);
  }
  const int fd =
      own(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, kMode), Step::open, path);
  const int status = ::fcntl(fd, F_GETFL);
  if (status < 0 || ::fcntl(fd, F_SETFL, status & ~O_NONBLOCK) != 0) {
    throw_error(Step::open, errno, path);
  }
  return fd;
}

int Launch::add_pipe(int number) {
  UniqueFd reader;
  UniqueFd writer;
  if (!make_pipe(reader, writer)) throw_error(Step::pipe, errno);
  const bool is_input = number == STDIN_FILENO;
  UniqueFd& ours = is_input ? in : number == STDOUT_FILENO ? out : err;
  ours = std::move(is_input ? writer : reader);
  opened_.push_back(std::move(is_input ? reader : writer));
  return opened_.back().get();
}

Started Launch::start() {
  // A file that any process has open for writing is not run. It may be that another thread has just
  // written it, and a child of a third one has the descriptor until its program runs.
  constexpr long kPauses[] = {1'000'000, 2'000'000, 4'000'000};  // ns
  Started started;
  std::vector<Move> moves;
  for (std::size_t tried = 0;; ++tried) {
    moves = moves_;
    plan_.moves = moves.data();
    plan_.move_count = moves.size();
    const Failure failure = spawner(plan_, started);
    if (failure.error == 0) {
      opened_.clear();
      return started;
    }
    if (failure.error != ETXTBSY || tried == std::size(kPauses)) fail(failure);
    const timespec pause{0, kPauses[tried]};
    ::nanosleep(&pause, nullptr);
  }
}

void Launch::fail(const Failure& failure) const {
  std::string path = failure.path != nullptr ? failure.path : "";
  std::string more;
  if (failure.step == Step::exec) more = why_exec_failed(failure.error, path);
  throw_error(failure.step, failure.error, std::move(path), more);
}

std::string Launch::from_directory(const std::string& path) const {
  const bool is_relative = !command_.directory.empty() && !path.starts_with('/');
  return is_relative ? command_.directory + '/' + path : path;
}

// What the error number does not say. Sets the path to that of the file, if there is one.
std::string Launch::why_exec_failed(int error, std::string& path) const {
  if (error == ENOEXEC) return "it is not a program for this system, and does not begin with #!";
  if (error == ETXTBSY) return "it is open for writing";
  if (error != ENOENT) return {};
  const auto file = std::find_if(candidates_.begin(), candidates_.end(), [&](const auto& each) {
    return ::access(from_directory(each).c_str(), F_OK) == 0;
  });
  if (file == candidates_.end()) {
    path = command_.program;
    return candidates_.size() > 1 ? "it is not in " + search_path_ : "";
  }
  path = *file;
  std::array<char, 256> start{};
  const UniqueFd opened(::open(from_directory(*file).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const ssize_t size = opened ? ::read(opened.get(), start.data(), start.size()) : 0;
  std::string_view line(start.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  line = line.substr(0, line.find('\n'));
  if (!line.starts_with("#!")) return "its loader is missing";
  line.remove_prefix(std::min(line.find_first_not_of(" \t", 2), line.size()));
  return "its interpreter " + std::string(line.substr(0, line.find_first_of(" \t"))) +
         " is missing";
}

}  // namespace event_cpp::net::detail
