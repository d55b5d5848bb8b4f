// The rules of epoll_ctl(2) and epoll_wait(2), on files that are only numbers.
#include "support/fake_poller.hpp"

#include <cerrno>

#include "loop/fd_table.hpp"

namespace event_cpp::test {

using detail::Change;
using detail::ReadyEvent;

int FakePoller::open() {
  int fd = 0;
  while (is_open(fd)) ++fd;
  open_at(fd);
  return fd;
}

void FakePoller::open_at(int fd) {
  close(fd);
  files_by_number_[fd] = ++last_file_;
  states_[last_file_].numbers = 1;
}

void FakePoller::duplicate(int from, int to) {
  if (from == to) return;
  const File file = file_at(from);
  close(to);
  files_by_number_[to] = file;
  ++states_[file].numbers;
}

void FakePoller::close(int fd) {
  if (!is_open(fd)) return;
  const File file = file_at(fd);
  files_by_number_.erase(fd);
  if (--states_[file].numbers > 0) return;
  states_.erase(file);
  forget(set_, file);
  if (old_set_) forget(*old_set_, file);
}

void FakePoller::forget(Set& set, File file) {
  for (auto i = set.begin(); i != set.end();) i = i->first.second == file ? set.erase(i) : ++i;
}

void FakePoller::set_ready(int fd, Events ready) {
  states_[file_at(fd)].ready = ready;
  show_change(file_at(fd));
}

void FakePoller::hang_up(int fd) {
  states_[file_at(fd)].hung_up = true;
  show_change(file_at(fd));
}

void FakePoller::show_change(File file) {
  for (auto& [key, registration] : set_) {
    if (key.second == file) registration.reported = false;
  }
}

Events FakePoller::ready(int fd) const {
  const State& state = states_.at(file_at(fd));
  return state.hung_up ? detail::FdTable::kConditions : state.ready;
}

Events FakePoller::to_report(const Registration& registration, const State& state) const {
  if (any(registration.wanted & Events::edge) && registration.reported) return Events::none;
  if (state.hung_up) return ReadyEvent::kHangupMeans | ReadyEvent::kHangup;
  return state.ready & registration.wanted & detail::FdTable::kConditions;
}

std::vector<FakePoller::Report> FakePoller::reports() {
  std::vector<Report> result;
  for (auto& [key, registration] : set_) {
    const Events what = to_report(registration, states_.at(key.second));
    if (!any(what)) continue;
    registration.reported = true;
    result.push_back({{what, key.first, registration.generation}, key.second});
  }
  return result;
}

std::optional<Events> FakePoller::registered(int fd) const {
  if (!is_open(fd)) return std::nullopt;
  const auto found = set_.find({fd, file_at(fd)});
  return found != set_.end() ? std::optional(found->second.wanted) : std::nullopt;
}

int FakePoller::update(Change change, int fd, std::uint32_t generation, Events wanted) noexcept {
  ++updates;
  if (change != Change::remove && failure_.countdown > 0 && --failure_.countdown == 0) {
    return failure_.error;
  }
  if (!is_open(fd)) return EBADF;
  Set& set = old_set_ && change != Change::add ? *old_set_ : set_;
  const std::pair key(fd, file_at(fd));
  const bool known = set.count(key) != 0;
  if (change == Change::add && known) return EEXIST;
  if (change != Change::add && !known) return ENOENT;
  const auto is_exclusive = [&](Events what) { return any(what & Events::exclusive); };
  if (change == Change::modify && (is_exclusive(wanted) || is_exclusive(set[key].wanted))) {
    return EINVAL;
  }
  if (change == Change::remove) {
    set.erase(key);
  } else {
    set[key] = {generation, wanted, false};
  }
  return 0;
}

int FakePoller::wait(TimePoint, bool, detail::ReadyBatch& batch) noexcept {
  batch.start();
  for (const Report& report : reports()) {
    if (!batch.full()) batch.push(report.ready);
  }
  batch.finish(batch.size());
  return 0;
}

int FakePoller::begin_rebuild() noexcept {
  if (rebuild_error_ != 0) return std::exchange(rebuild_error_, 0);
  ++rebuilds;
  old_set_ = std::exchange(set_, {});
  return 0;
}

void FakePoller::end_rebuild(bool keep) noexcept {
  if (!keep) set_ = std::move(*old_set_);
  old_set_.reset();
}

}  // namespace event_cpp::test
