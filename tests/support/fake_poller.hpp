// A kernel to try the descriptor table on: files, the numbers they are open under, and what of them
// is registered, as epoll(7) keeps it.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "loop/fd_table.hpp"
#include "poller/poller.hpp"

namespace event_cpp::test {

// A registration is of a number and a file, both; it lasts until it is taken back or the last
// number of the file is closed. So what was registered under a number that was closed goes on
// reporting as long as the file is open under another, and cannot be named meanwhile.
class FakePoller final : public detail::Poller {
 public:
  FakePoller() : Poller({.kind = Backend::epoll, .supported = Events::none}) {}

  using File = std::size_t;  // no two files are the same, ever

  struct Report {
    detail::ReadyEvent ready;
    File file;
  };

  // What a process does with its descriptors.
  int open();                        // a new file, under the lowest number that is free
  void open_at(int fd);              // a new file, in place of what is open there
  void duplicate(int from, int to);  // as dup2() does
  void close(int fd);
  bool is_open(int fd) const { return files_by_number_.count(fd) != 0; }
  File file_at(int fd) const { return files_by_number_.at(fd); }

  // What happens to a file. Requires: it is open under that number.
  void set_ready(int fd, Events ready);
  void hang_up(int fd);
  Events ready(int fd) const;

  // What is ready now; each is reported again until it is not any more, unless it is an edge.
  std::vector<Report> reports();

  // What is registered under a number, of the file that is open there; nothing if it is not.
  std::optional<Events> registered(int fd) const;
  bool is_registered(int fd, File file) const { return set_.count({fd, file}) != 0; }
  std::size_t registrations() const { return set_.size(); }

  // The `nth` addition or modification from now on fails with `error`.
  void fail(int error, std::size_t nth = 1) { failure_ = {error, nth}; }
  void fail_rebuild(int error) { rebuild_error_ = error; }
  void succeed() { failure_ = {}; }

  void prefer_lazy_removal(bool prefers) { traits_.prefers_lazy_removal = prefers; }

  // As in the child of a fork: nothing is registered.
  void start_anew() { set_.clear(); }

  int add(int fd, std::uint32_t generation, Events interest) noexcept override;
  int modify(int fd, std::uint32_t generation, Events interest, bool may_defer) noexcept override;
  int remove(int fd) noexcept override;
  int wait(TimePoint, bool, detail::ReadyBatch&) override { return ENOSYS; }  // see reports()
  int begin_rebuild() noexcept override;
  void end_rebuild(bool keep) noexcept override;

  std::size_t updates = 0;   // calls of add(), modify() and remove()
  std::size_t rebuilds = 0;  // rebuilds that were begun

 private:
  struct State {
    int numbers = 0;  // that it is open under
    Events ready = Events::none;
    bool hung_up = false;
  };
  struct Registration {
    std::uint32_t generation;
    Events interest;
    bool reported;  // since something last changed
  };
  using Set = std::map<std::pair<int, File>, Registration>;
  struct Failure {
    int error = 0;
    std::size_t countdown = 0;
  };

  static void forget(Set& set, File file);
  void show_change(File file);
  Events to_report(const Registration& registration, const State& state) const;

  // The set whose registrations modify() and remove() change.
  Set& named() noexcept { return old_set_ ? *old_set_ : set_; }
  int begin_update(int fd, bool may_fail) noexcept;

  std::map<int, File> files_by_number_;
  std::map<File, State> states_;
  File last_file_ = 0;
  Set set_;
  std::optional<Set> old_set_;  // during a rebuild
  Failure failure_;
  int rebuild_error_ = 0;
};

}  // namespace event_cpp::test
